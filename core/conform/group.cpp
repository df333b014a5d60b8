#include "conform/group.hpp"

namespace quoin::conform {

std::span<const Group> groups() {
  static const Group table[] = {
      {2, "manifest", "the manifest says what the table says and survives strip", manifest_cases},
      {5, "annotate", "the quantizer answers about every node, legally, and as the graph alone decides",
       annotate_cases},
      {6, "partition", "claims are possible, every other node is declined with a reason", partition_cases},
      {7, "compile", "compile() is deterministic and keeps nothing that it borrowed", compile_cases},
      {8, "blob", "whatever the bytes of a blob are, the answer is a status", blob_cases},
      {9, "accuracy", "results are those of the portable kernels, on every instruction set", accuracy_cases},
      {10, "workspace", "run() uses the memory that plan() asked for", workspace_cases},
      {11, "memory", "a host without memory gets a status, and gets back what it lent", memory_cases},
      {12, "threads", "no threads of its own; results do not depend on the host's", threads_cases},
      {14, "events", "runs stop when they are told to; profiles are balanced", events_cases},
  };
  return table;
}

}  // namespace quoin::conform
