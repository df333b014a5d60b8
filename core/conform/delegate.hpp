// One blob through the executor's functions, every status kept and every byte of memory guarded.
#pragma once

#include <vector>

#include "conform/test_host.hpp"
#include "host/backend.hpp"
#include "lower/compile.hpp"

namespace quoin::conform {

// What a function of the plugin answered.
struct Answer {
  quoin_status status = QUOIN_OK;
  std::string message;
  bool ok() const { return status == QUOIN_OK; }
  std::string text() const;  // "CORRUPT (unknown operation)"
};
std::string status_name(quoin_status status);

// The tensors of one run, each in memory of its own that ends at a page that may not be touched.
class Buffers {
 public:
  enum Align { cache_line, element };  // to 64 bytes, or no more than the element type needs
  // Types and qparams are those of the graph's values; `inputs` are copied in.
  Buffers(const ir::Graph& graph, const lower::Compiled& compiled, std::span<const Tensor> inputs, Align align);
  quoin_array inputs() const { return {tensors_.data(), inputs_, sizeof(quoin_tensor)}; }
  quoin_array outputs() const {
    return {tensors_.data() + inputs_, static_cast<uint32_t>(tensors_.size()) - inputs_, sizeof(quoin_tensor)};
  }
  void fill_outputs(int byte);
  void protect_inputs() const;
  std::vector<Tensor> results() const;  // copies of the outputs
  // "" or which tensor was written behind its end, or which planned shape differs from the graph's.
  std::string fault() const;

 private:
  void add(TensorType type, Align align);

  uint32_t inputs_ = 0;
  std::vector<TensorType> types_;
  std::vector<Shape> dims_;  // what plan() may write to
  std::vector<quoin_qparams> qparams_;
  std::vector<GuardedMemory> memory_;
  std::vector<quoin_tensor> tensors_;
};

// What init() is asked: `blob` may be another than the compiled one. Both must outlive the request.
quoin_load_request load_request(const program::Delegate& compiled, std::span<const std::byte> blob);

// Calls destroy at its end. The backend and the bytes of the blob must outlive it.
class Delegate {
 public:
  // `blob` instead of the compiled one; 64-byte aligned.
  Delegate(const host::Backend& backend, const program::Delegate& compiled, std::span<const std::byte> blob);
  Delegate(const host::Backend& backend, const program::Delegate& compiled)
      : Delegate(backend, compiled, compiled.blob) {}
  ~Delegate();
  Delegate(const Delegate&) = delete;
  Delegate& operator=(const Delegate&) = delete;

  const Answer& init() const { return init_; }
  // Fills need(); an executor without plan() needs nothing.
  Answer plan(const Buffers& buffers);
  const quoin_memory_need& need() const { return need_; }
  uint64_t alignment() const { return need_.alignment == 0 ? 64 : need_.alignment; }  // of scratch memory
  // From any thread.
  Answer run(const Buffers& buffers, void* scratch, const quoin_profiler* profiler = nullptr,
             const uint32_t* cancel = nullptr) const;

 private:
  const host::Backend& backend_;
  const quoin_executor& executor_;
  quoin_delegate* handle_ = nullptr;
  Answer init_;
  quoin_memory_need need_{};
};

// init, plan and run in ordinary order. Errors (plugin): the function that failed, with its words.
Result<std::vector<Tensor>> run_once(const host::Backend& backend, const ir::Graph& graph,
                                     const lower::Compiled& compiled, std::span<const Tensor> inputs);

}  // namespace quoin::conform
