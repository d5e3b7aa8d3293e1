/*
 * Runs a fuzz target once over every file of the directories named, without a fuzzer: so the
 * corpus is a test with any compiler. Fails when a directory holds no file.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

/* False when the file cannot be read. The copy has the file's size, so that overruns are seen. */
static int replay_file(const char *path)
{
    struct stat status;
    FILE *file = fopen(path, "rb");
    if (!file || fstat(fileno(file), &status)) {
        perror(path);
        return 0;
    }
    size_t count = (size_t)status.st_size;
    unsigned char *bytes = malloc(count ? count : 1);
    int read_whole = bytes && fread(bytes, 1, count, file) == count;
    fclose(file);
    if (read_whole)
        LLVMFuzzerTestOneInput(bytes, count);
    else
        fprintf(stderr, "%s: not read whole\n", path);
    free(bytes);
    return read_whole;
}

/* How many files ran; -1 when one could not. */
static int replay_directory(const char *path)
{
    DIR *directory = opendir(path);
    if (!directory) {
        perror(path);
        return -1;
    }
    int files = 0;
    for (struct dirent *entry; files >= 0 && (entry = readdir(directory));) {
        char name[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        files = replay_file(name) ? files + 1 : -1;
    }
    closedir(directory);
    return files;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int files = replay_directory(argv[i]);
        if (files <= 0) {
            fprintf(stderr, "%s: no corpus was replayed\n", argv[i]);
            return 1;
        }
        printf("%s: %d files\n", argv[i], files);
    }
    return argc > 1 ? 0 : 2;
}
