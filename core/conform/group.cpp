#include "conform/group.hpp"

namespace quoin::conform {

std::span<const Group> groups() {
  static const Group table[] = {
      {1, "exports", "one exported function, no runtime of its own, nothing writable that need not be", exports_cases},
      {2, "manifest", "the manifest says what the table says and survives strip", manifest_cases},
      {3, "negotiation", "older and newer hosts work, others are refused with a reason; the table is whole",
       negotiation_cases},
      {4, "options", "options do what their declarations say, and nothing else is taken", options_cases},
      {5, "annotate", "the quantizer answers about every node, legally, and as the graph alone decides",
       annotate_cases},
      {6, "partition", "claims are possible, every other node is declined with a reason", partition_cases},
      {7, "compile", "compile() is deterministic and keeps nothing that it borrowed", compile_cases},
      {8, "blob", "whatever the bytes of a blob are, the answer is a status", blob_cases},
      {9, "accuracy", "results are those of the portable kernels, on every instruction set", accuracy_cases},
      {10, "workspace", "run() uses the memory that plan() asked for", workspace_cases},
      {11, "memory", "a host without memory gets a status, and gets back what it lent", memory_cases},
      {12, "threads", "no threads of its own; results do not depend on the host's", threads_cases},
      {13, "errors", "every error has a known status and a message that can be printed", errors_cases},
      {14, "events", "runs stop when they are told to; profiles are balanced", events_cases},
      {15, "unload", "it can be unloaded, again and again, and the process can end at any time", unload_cases},
      {16, "process", "rounding, locale, signals, descriptors and streams are as before", process_cases},
      {17, "length", "nodes that it takes run every length up to the longest, with their states", length_cases},
  };
  return table;
}

std::vector<Case> cannot_load(const Error& why) {
  return {{"load", [text = why.text()] { return failed(text); }}};
}

}  // namespace quoin::conform
