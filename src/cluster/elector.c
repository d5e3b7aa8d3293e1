#include "cluster/elector.h"

int elector_campaign(struct elector *elector, uint64_t now_ns, struct epoch_view *granted,
                     struct error *err)
{
    return elector->kind->campaign(elector, now_ns, granted, err);
}

void elector_destroy(struct elector *elector)
{
    if (elector)
        elector->kind->destroy(elector);
}
