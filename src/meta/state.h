/* Inside meta: how its files share the state's places. Same thread and lifetime as the state. */
#ifndef META_STATE_H
#define META_STATE_H

#include "meta/meta.h"

/* A zeroed place for a session that is not there yet. */
struct meta_session *meta_session_add(struct meta_state *state, uint64_t session);

#endif
