// A plugin as a table in this process: each test gives the behaviour it needs, the rest has working defaults.
#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "host/backend.hpp"
#include "host/services.hpp"
#include "ir/graph.hpp"

namespace quoin::testing {

inline quoin_status refuse(quoin_error* error, quoin_status status, std::string_view text) {
  error->code = status;
  error->message_size = static_cast<uint32_t>(text.copy(error->message, sizeof error->message));
  return status;
}

inline std::string_view op_of(const quoin_graph* graph, uint32_t node) {
  const quoin_str op = static_cast<const quoin_node*>(graph->nodes.data)[node].op;
  return {op.data, op.size};
}

// Keep it alive as long as its backend.
struct FakePlugin {
  using Partition = std::function<quoin_status(const quoin_lower_request&, const quoin_claims&, quoin_error*)>;
  using Compile = std::function<quoin_status(const quoin_lower_request&, const quoin_blob_writer&, quoin_error*)>;
  using Init = std::function<quoin_status(const quoin_load_request&, quoin_error*)>;
  using Plan = std::function<quoin_status(quoin_array, quoin_array, quoin_memory_need&, quoin_error*)>;
  using Run = std::function<quoin_status(const quoin_run&, quoin_error*)>;

  explicit FakePlugin(std::string plugin_name = "fake", std::string plugin_version = "1.4.0");
  FakePlugin(const FakePlugin&) = delete;
  std::shared_ptr<host::Backend> open(const quoin_host& host);

  std::string name, version;
  Partition partition = [](auto&, auto&, auto*) { return QUOIN_OK; };
  Compile compile = [](const quoin_lower_request&, const quoin_blob_writer& writer, auto*) {
    return writer.write(writer.self, {"blob", 4});
  };
  Init init = [](auto&, auto*) { return QUOIN_OK; };
  Plan plan = [](auto, auto, auto&, auto*) { return QUOIN_OK; };
  Run run = [](auto&, auto*) { return QUOIN_OK; };
  quoin_compiler compiler{};
  quoin_executor executor{};
  quoin_plugin table{};
  int live_delegates = 0;

 private:
  static FakePlugin& of(quoin_backend* b) { return *reinterpret_cast<FakePlugin*>(b); }
  static FakePlugin& of(quoin_delegate* d) { return *reinterpret_cast<FakePlugin*>(d); }
};

inline FakePlugin::FakePlugin(std::string plugin_name, std::string plugin_version)
    : name(std::move(plugin_name)), version(std::move(plugin_version)) {
  compiler.struct_size = sizeof compiler;
  compiler.blob_format = 2;
  compiler.partition = [](quoin_backend* b, const quoin_lower_request* request, const quoin_claims* claims,
                          quoin_error* error) { return of(b).partition(*request, *claims, error); };
  compiler.compile = [](quoin_backend* b, const quoin_lower_request* request, const quoin_blob_writer* writer,
                        quoin_error* error) { return of(b).compile(*request, *writer, error); };
  executor.struct_size = sizeof executor;
  executor.oldest_blob_format = 1;
  executor.newest_blob_format = 2;
  executor.init = [](quoin_backend* b, const quoin_load_request* request, quoin_delegate** out, quoin_error* error) {
    const quoin_status status = of(b).init(*request, error);
    if (status != QUOIN_OK) return status;
    ++of(b).live_delegates;
    *out = reinterpret_cast<quoin_delegate*>(b);
    return status;
  };
  executor.plan = [](quoin_delegate* d, quoin_array inputs, quoin_array outputs, quoin_memory_need* need,
                     quoin_error* error) { return of(d).plan(inputs, outputs, *need, error); };
  executor.run = [](quoin_delegate* d, const quoin_run* call, quoin_error* error) { return of(d).run(*call, error); };
  executor.destroy = [](quoin_delegate* d) { --of(d).live_delegates; };
  table.struct_size = sizeof table;
  table.abi_major = QUOIN_ABI_MAJOR;
  table.close = [](quoin_backend*) {};
  table.compiler = &compiler;
  table.executor = &executor;
}

namespace detail {
inline FakePlugin*& being_opened() {
  static thread_local FakePlugin* plugin = nullptr;
  return plugin;
}
}  // namespace detail

inline std::shared_ptr<host::Backend> FakePlugin::open(const quoin_host& host) {
  table.name = name.c_str();
  table.version = version.c_str();
  table.open = [](const quoin_host*, quoin_array, quoin_backend** out, quoin_error*) -> quoin_status {
    *out = reinterpret_cast<quoin_backend*>(detail::being_opened());
    return QUOIN_OK;
  };
  detail::being_opened() = this;
  auto backend = host::Backend::open(&table, nullptr, host);
  EXPECT_TRUE(backend) << backend.error().text();
  return *backend;
}

// Claims each listed group of nodes; tags are "t0", "t1" ...
inline FakePlugin::Partition claims(std::vector<std::vector<uint32_t>> groups) {
  return [groups = std::move(groups)](const quoin_lower_request&, const quoin_claims& out, quoin_error*) {
    for (size_t i = 0; i < groups.size(); ++i) {
      const std::string tag = "t" + std::to_string(i);
      out.claim(out.self, groups[i].data(), static_cast<uint32_t>(groups[i].size()), {tag.data(), tag.size()});
    }
    return QUOIN_OK;
  };
}

// Claims every node of one operator on its own and declines the rest with a reason.
inline FakePlugin::Partition claims_op(std::string op) {
  return [op = std::move(op)](const quoin_lower_request& request, const quoin_claims& out, quoin_error*) {
    for (uint32_t i = 0; i < request.graph->nodes.count; ++i) {
      constexpr std::string_view kReason = "only does one operator", kTag = "one";
      if (op_of(request.graph, i) == op)
        out.claim(out.self, &i, 1, {kTag.data(), kTag.size()});
      else
        out.decline(out.self, i, {kReason.data(), kReason.size()});
    }
    return QUOIN_OK;
  };
}

}  // namespace quoin::testing
