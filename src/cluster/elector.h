/*
 * Electors: who grants epochs. An elector gives each epoch number to one node, with an epoch slot
 * and a workspace that nobody else may still write, and publishes the slot (edge R1): from then on
 * every check of an older epoch fails. It does not detect death. Design: 3-protocol, "Start" and
 * "The rules that make a zombie harmless"; 2-memory-model, "Control".
 *
 * Kinds: `fixed`, one configured node. Others (compare-and-swap in the region, or in a service
 * outside) follow behind the same calls; therefore a campaign may take several calls.
 * One thread, the node's. Lifetime: the node's; the region must outlive it.
 */
#ifndef CLUSTER_ELECTOR_H
#define CLUSTER_ELECTOR_H

#include <stdint.h>

#include "base/error.h"
#include "region/region.h"

struct elector;

/* What a kind of elector provides. */
struct elector_kind {
    const char *name;
    int (*campaign)(struct elector *elector, uint64_t now_ns, struct epoch_view *granted,
                    struct error *err);
    void (*destroy)(struct elector *elector);
};

/* The first member of each kind's own struct. */
struct elector {
    const struct elector_kind *kind;
};

/*
 * Asks for a new epoch for this node. Never blocks.
 *   EMB_OK               granted and published; it is now the highest
 *   EMB_ERR_BUSY         not decided yet: call again
 *   EMB_ERR_UNAVAILABLE  another node is, or shall be, the sequencer
 *   EMB_ERR_EXISTS       another node asks for it as well (its request line); nothing is published
 *   EMB_ERR_STALE_EPOCH  published, but another grant came at the same time: not this node's
 *   EMB_ERR_LIMIT        no slot or workspace is free, or epoch numbers are used up
 */
int elector_campaign(struct elector *elector, uint64_t now_ns, struct epoch_view *granted,
                     struct error *err);
void elector_destroy(struct elector *elector); /* NULL is allowed */

struct elector_fixed_options {
    struct region *region;
    uint32_t node;      /* whose elector this is */
    uint32_t sequencer; /* the configured node: the same on all of them */
};

/*
 * `fixed`: only the configured node is granted anything; its next epoch is above all found. Where
 * another might be configured as well, by mistake, the caller has published and drained its request
 * line (member_ask) with ROLE_SEQUENCER before it campaigns: of two that do, at least one finds
 * the other, and at most one is granted anything. The caller holds the lock of the node's data
 * directory, so that earlier processes of this node are known to be gone and their slots may be
 * used again. EMB_ERR_NO_MEMORY.
 */
int elector_fixed_create(const struct elector_fixed_options *options, struct elector **elector,
                         struct error *err);

#endif
