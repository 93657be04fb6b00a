// Which slots are those of a field: the attribute `starts`, the first slot of each field, "0,1,4". Without it each slot
// is a field.
#pragma once

#include "common.h"

namespace pnn {

// First slots of the fields, then S; empty if they do not ascend from 0 within S.
inline std::vector<int64_t> slot_bounds(const Attributes& attributes, int64_t slots) {
  std::vector<int64_t> starts;
  const std::string given = text(attributes, "starts", "");
  if (given.empty())
    for (int64_t slot = 0; slot < slots; ++slot) starts.push_back(slot);
  for (const char* at = given.c_str(); *at != '\0';) {
    char* after = nullptr;
    starts.push_back(std::strtoll(at, &after, 10));
    if (after == at) return {};
    at = *after == ',' ? after + 1 : after;
  }
  starts.push_back(slots);
  if (starts.front() != 0) return {};
  for (size_t i = 1; i < starts.size(); ++i)
    if (starts[i] <= starts[i - 1]) return {};
  return starts;
}

inline MXReturnValue refuse_starts(const char* name, const Attributes& attributes, int64_t slots) {
  return refuse(std::string(name) + ": starts must ascend from 0 and stay below " + std::to_string(slots) + ", not " +
                text(attributes, "starts", ""));
}

}  // namespace pnn
