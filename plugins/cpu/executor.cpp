#include "executor.hpp"

#include <string>

namespace quoin::cpu {
namespace {

constexpr uint64_t kMaxBytes = uint64_t{1} << 40;
constexpr uint32_t kMaxInstructions = 1u << 20, kMaxTensors = 1u << 12;
constexpr size_t kManyTensors = 64;  // more than this: the pointers of a run move to the heap

[[noreturn]] void corrupt(const char* what) { throw sdk::Failure(QUOIN_CORRUPT, what); }

Header read_header(sdk::Reader& reader) {
  const auto header = reader.get<Header>();
  if (header.magic != kMagic) corrupt("not a program of the cpu backend");
  if (header.format != kBlobFormat)
    throw sdk::Failure(QUOIN_INCOMPATIBLE,
                       "blob format " + std::to_string(header.format) + ", expected " + std::to_string(kBlobFormat));
  if (header.num_inputs > kMaxTensors || header.num_outputs > kMaxTensors ||
      header.num_instructions > kMaxInstructions || header.scratch_bytes > kMaxBytes || header.worker_bytes > kMaxBytes)
    corrupt("a count or size in the header is out of range");
  reader.align(kAlign);
  return header;
}

TensorInfo read_tensor(sdk::Reader& reader) {
  const auto info = reader.get<TensorInfo>();
  if (info.rank > kMaxDims || (info.dtype != QUOIN_F32 && info.dtype != QUOIN_S8))
    corrupt("a tensor has no known type");
  uint64_t bytes = info.dtype == QUOIN_F32 ? sizeof(float) : 1;
  for (uint32_t d = 0; d < info.rank; ++d)
    if (info.dims[d] < 1 || __builtin_mul_overflow(bytes, static_cast<uint64_t>(info.dims[d]), &bytes) ||
        bytes > kMaxBytes)
      corrupt("the dims of a tensor are out of range");
  if (info.bytes != bytes) corrupt("the size of a tensor does not fit its dims");
  return info;
}

std::string text(std::span<const int64_t> dims) {
  std::string out = "[";
  for (const int64_t d : dims) out += (out.size() > 1 ? ", " : "") + std::to_string(d);
  return out + "]";
}

}  // namespace

Executor::Executor(const quoin_host& host, const sdk::Load& load) : host_(host), kernels_(select(host.isa)) {
  sdk::Reader reader(load.blob);
  const Header header = read_header(reader);
  Regions regions;
  for (uint32_t i = 0; i < header.num_inputs; ++i) inputs_.push_back(read_tensor(reader));
  for (uint32_t i = 0; i < header.num_outputs; ++i) outputs_.push_back(read_tensor(reader));
  for (const TensorInfo& t : inputs_) regions.inputs.push_back(t.bytes);
  for (const TensorInfo& t : outputs_) regions.outputs.push_back(t.bytes);
  regions.scratch = scratch_bytes_ = header.scratch_bytes;
  regions.worker = worker_bytes_ = header.worker_bytes;
  regions.data = header.data_bytes;
  if (scratch_bytes_ % kAlign != 0 || worker_bytes_ % kAlign != 0) corrupt("scratch is not a multiple of 64 bytes");
  read_instructions(reader, header, regions);
  data_ = reader.array<char>(header.data_bytes).data();
  if (reader.rest() != 0) corrupt("bytes follow the end of the blob");
}

void Executor::read_instructions(sdk::Reader& reader, const Header& header, const Regions& regions) {
  reader.align(kAlign);
  const auto instructions = reader.array<Instruction>(header.num_instructions);
  for (uint32_t n = 0; n < header.num_instructions; ++n) {
    const Instruction instruction = instructions[n];
    const Operation* operation = find_operation(instruction.op);
    const Checker checker(regions, n);
    checker.require(operation != nullptr, "unknown operation");
    operation->check(instruction, checker);
    steps_.push_back({instruction, operation});
  }
  reader.align(kAlign);
}

void Executor::check_tensor(const quoin_tensor& tensor, const TensorInfo& info, const char* what) const {
  const std::span<const int64_t> dims(tensor.dims, tensor.rank), expected(info.dims, info.rank);
  if (tensor.dtype != info.dtype || !std::equal(dims.begin(), dims.end(), expected.begin(), expected.end()))
    throw sdk::Failure(QUOIN_UNSUPPORTED,
                       std::string(what) + " was compiled for " + text(expected) + ", found " + text(dims));
}

void Executor::plan(sdk::Array<quoin_tensor> inputs, sdk::Array<quoin_tensor> outputs, quoin_memory_need& need) const {
  if (inputs.size() != inputs_.size() || outputs.size() != outputs_.size())
    throw sdk::Failure(QUOIN_INVALID, "number of inputs or outputs differs from the compiled graph");
  for (uint32_t i = 0; i < inputs.size(); ++i) check_tensor(inputs[i], inputs_[i], "input");
  for (uint32_t o = 0; o < outputs.size(); ++o) {
    const quoin_tensor tensor = outputs[o];
    if (tensor.rank != outputs_[o].rank)
      throw sdk::Failure(QUOIN_UNSUPPORTED, "an output has another rank than compiled");
    std::copy_n(outputs_[o].dims, tensor.rank, tensor.dims);
  }
  need.alignment = kAlign;
  need.persistent = 0;
  need.scratch = scratch_bytes_ + worker_bytes_ * host_.workers(host_.self);
}

void Executor::run(const sdk::Run& run) const {
  const uint32_t workers = host_.workers(host_.self);
  if (run.inputs.size() != inputs_.size() || run.outputs.size() != outputs_.size() ||
      run.raw.scratch_size < scratch_bytes_ + worker_bytes_ * workers)
    throw sdk::Failure(QUOIN_INVALID, "inputs, outputs or scratch are not what plan() asked for");
  const size_t tensors = inputs_.size() + outputs_.size();
  std::array<char*, kManyTensors> few{};
  std::vector<char*> many(tensors > kManyTensors ? tensors : 0);
  const std::span<char*> pointers = many.empty() ? std::span<char*>(few) : std::span<char*>(many);
  for (uint32_t n = 0; n < tensors; ++n) {
    const bool input = n < inputs_.size();
    const uint32_t index = input ? n : n - static_cast<uint32_t>(inputs_.size());
    const quoin_tensor tensor = input ? run.inputs[index] : run.outputs[index];
    if (tensor.data == nullptr || tensor.size != (input ? inputs_ : outputs_)[index].bytes)
      throw sdk::Failure(QUOIN_INVALID, "a tensor has another size than planned");
    pointers[n] = static_cast<char*>(tensor.data);
  }
  char* scratch = static_cast<char*>(run.raw.scratch);
  const Context context{kernels_,
                        host_,
                        workers,
                        scratch,
                        scratch + scratch_bytes_,
                        worker_bytes_,
                        data_,
                        pointers.first(inputs_.size()),
                        pointers.subspan(inputs_.size(), outputs_.size()),
                        run.raw.cancel};
  for (const Step& step : steps_) {
    if (context.cancelled()) break;
    const sdk::Event event(run.raw.profiler, step.operation->name, step.instruction.debug_id);
    step.operation->run(step.instruction, context);
  }
  if (context.cancelled()) throw sdk::Failure(QUOIN_CANCELLED, "cancelled");
}

}  // namespace quoin::cpu
