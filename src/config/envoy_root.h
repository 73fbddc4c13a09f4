/* The root of the tables: for reading, mending and printing. Private to this room. */
#pragma once

#include "config/proto.h"

extern const struct hbk_proto_message hbk_envoy_bootstrap;
