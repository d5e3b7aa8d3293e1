/* What page size the kernel really used: advice is no grant, so its own account is read. */
#include <inttypes.h>
#include <stdio.h>

#include "env/posix/posix.h"

#define HUGE_PAGE_KIB 2048u

struct page_account {
    uint64_t resident_kib;
    uint64_t huge_kib;
};

/* Adds one line of smaps that belongs to the range. */
static void account_add(struct page_account *account, const char *line, uint64_t *page_kib)
{
    uint64_t kib;
    if (sscanf(line, "KernelPageSize: %" SCNu64 " kB", &kib) == 1)
        *page_kib = kib;
    else if (sscanf(line, "Rss: %" SCNu64 " kB", &kib) == 1)
        account->resident_kib += kib;
    else if (sscanf(line, "ShmemPmdMapped: %" SCNu64 " kB", &kib) == 1 ||
             sscanf(line, "FilePmdMapped: %" SCNu64 " kB", &kib) == 1)
        account->huge_kib += kib;
}

bool posix_range_is_huge(const void *base, uint64_t bytes)
{
    FILE *file = fopen("/proc/self/smaps", "re");
    if (!file)
        return false;
    char line[512];
    bool inside = false;
    uint64_t page_kib = 0, from, to;
    struct page_account account = {0};
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &from, &to) == 2)
            inside = from < (uintptr_t)base + bytes && to > (uintptr_t)base;
        else if (inside)
            account_add(&account, line, &page_kib);
    }
    fclose(file);
    /* Devices and hugetlbfs have one page size; elsewhere most of what is resident decides. */
    return page_kib >= HUGE_PAGE_KIB ||
           (account.huge_kib > 0 && account.huge_kib * 2 > account.resident_kib);
}
