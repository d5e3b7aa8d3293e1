/* Looking up a dax device by its path, through libdaxctl. */
#include <stdio.h>
#include <string.h>

#include <daxctl/libdaxctl.h>

#include "env/posix/posix.h"

static struct daxctl_dev *device_by_name(struct daxctl_ctx *context, const char *name)
{
    struct daxctl_region *region;
    struct daxctl_dev *device;
    daxctl_region_foreach(context, region) daxctl_dev_foreach(
        region, device) if (strcmp(daxctl_dev_get_devname(device), name) == 0) return device;
    return NULL;
}

static int device_check(struct daxctl_dev *device, const char *path, uint64_t *bytes,
                        uint64_t *align, struct error *err)
{
    if (!device)
        return error_set(err, EMB_ERR_NOT_FOUND,
                         "dax device %s is not there; `daxctl list` shows those that are", path);
    if (daxctl_dev_get_memory(device))
        return error_set(err, EMB_ERR_BUSY,
                         "dax device %s is used as system memory; `daxctl reconfigure-device "
                         "--mode=devdax` makes it mappable",
                         path);
    if (!daxctl_dev_is_enabled(device))
        return error_set(err, EMB_ERR_UNAVAILABLE,
                         "dax device %s is disabled; `daxctl enable-device` enables it", path);
    *bytes = daxctl_dev_get_size(device);
    *align = daxctl_dev_get_align(device);
    return EMB_OK;
}

int posix_dax_find(const char *path, uint64_t *bytes, uint64_t *align, struct error *err)
{
    struct daxctl_ctx *context;
    if (daxctl_new(&context) != 0)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory to look for dax device %s", path);
    const char *name = strrchr(path, '/');
    int rc = device_check(device_by_name(context, name ? name + 1 : path), path, bytes, align, err);
    daxctl_unref(context);
    return rc;
}
