#include "executor.hpp"

#include <string>

namespace quoin::cpu {
namespace {

constexpr uint64_t kMaxBytes = uint64_t{1} << 40;
constexpr uint32_t kMaxInstructions = 1u << 20, kMaxTensors = 1u << 12, kMaxNamed = 1u << 20;
constexpr int64_t kMaxLength = int64_t{1} << 31;
constexpr size_t kManyTensors = 64;  // more than this: the pointers of a run move to the heap

[[noreturn]] void corrupt(const char* what) { throw sdk::Failure(QUOIN_CORRUPT, what); }

Header read_header(sdk::Reader& reader) {
  const auto header = reader.get<Header>();
  if (header.magic != kMagic) corrupt("not a program of the cpu backend");
  if (header.format != kBlobFormat)
    throw sdk::Failure(QUOIN_INCOMPATIBLE,
                       "blob format " + std::to_string(header.format) + ", expected " + std::to_string(kBlobFormat));
  if (header.num_inputs > kMaxTensors || header.num_outputs > kMaxTensors ||
      header.num_instructions > kMaxInstructions || header.num_named > kMaxNamed || header.scratch_bytes > kMaxBytes ||
      header.worker_bytes > kMaxBytes || header.length < 0 || header.length > kMaxLength)
    corrupt("a count or size in the header is out of range");
  reader.align(kAlign);
  return header;
}

uint64_t element_bytes(quoin_dtype dtype) {
  return dtype == QUOIN_S64 ? sizeof(int64_t) : dtype == QUOIN_F32 ? sizeof(float) : 1;
}

TensorInfo read_tensor(sdk::Reader& reader, const Header& header) {
  const auto info = reader.get<TensorInfo>();
  if (info.rank > kMaxDims || (info.dtype != QUOIN_F32 && info.dtype != QUOIN_S8 && info.dtype != QUOIN_S64))
    corrupt("a tensor has no known type");
  uint64_t bytes = element_bytes(info.dtype);
  for (uint32_t d = 0; d < info.rank; ++d)
    if (info.dims[d] < 1 || __builtin_mul_overflow(bytes, static_cast<uint64_t>(info.dims[d]), &bytes) ||
        bytes > kMaxBytes)
      corrupt("the dims of a tensor are out of range");
  if (info.bytes != bytes) corrupt("the size of a tensor does not fit its dims");
  if (info.follows > 1 || (info.follows != 0 && (info.rank == 0 || info.dims[0] != header.length)))
    corrupt("a tensor follows a length that it does not have");
  return info;
}

// The instruction for a run of `length`, made from the one for `longest`: 1 <= length <= longest.
Instruction shortened(const Instruction& instruction, int64_t length, int64_t longest) {
  Instruction out = instruction;
  const auto shorten = [&](int64_t& size, uint64_t bit) {
    if ((instruction.follows & bit) != 0) size = size / longest * length;
  };
  shorten(out.rows, kFollowRows);
  shorten(out.n, kFollowN);
  for (uint32_t d = 0; d < kMaxDims; ++d) shorten(out.dims[d], uint64_t{kFollowDims} << d);
  out.x.offset -= static_cast<uint64_t>(instruction.x_step * (longest - length));
  return out;
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
  longest_ = header.length;
  for (uint32_t i = 0; i < header.num_inputs; ++i) inputs_.push_back(read_tensor(reader, header));
  for (uint32_t i = 0; i < header.num_outputs; ++i) outputs_.push_back(read_tensor(reader, header));
  const auto follows = [](const TensorInfo& t) { return t.follows != 0; };
  if ((longest_ != 0) != std::any_of(inputs_.begin(), inputs_.end(), follows))
    corrupt("no input has the length of a run");
  if (longest_ == 0 && std::any_of(outputs_.begin(), outputs_.end(), follows))
    corrupt("a result follows the length of a run that has none");
  for (const TensorInfo& t : inputs_) regions.inputs.push_back(t.bytes);
  for (const TensorInfo& t : outputs_) regions.outputs.push_back(t.bytes);
  regions.scratch = scratch_bytes_ = header.scratch_bytes;
  regions.worker = worker_bytes_ = header.worker_bytes;
  regions.data = header.data_bytes;
  if (scratch_bytes_ % kAlign != 0 || worker_bytes_ % kAlign != 0) corrupt("scratch is not a multiple of 64 bytes");
  read_named(reader, header, load, regions);
  read_instructions(reader, header, regions);
  data_ = reader.array<char>(header.data_bytes).data();
  if (reader.rest() != 0) corrupt("bytes follow the end of the blob");
}

// Weights that delegates share stay where the host has them.
void Executor::read_named(sdk::Reader& reader, const Header& header, const sdk::Load& load, Regions& regions) {
  reader.align(kAlign);
  const auto infos = reader.array<NamedInfo>(header.num_named);
  const auto keys = reader.array<char>(header.key_bytes);
  for (const NamedInfo& info : infos) {
    if (info.key_offset > keys.size() || info.key_size > keys.size() - info.key_offset || info.bytes > kMaxBytes)
      corrupt("the key of named data is out of range");
    const std::string_view key(keys.data() + info.key_offset, info.key_size);
    const quoin_bytes found = load.named(key);
    if (found.size != info.bytes || reinterpret_cast<uintptr_t>(found.data) % kAlign != 0)
      throw sdk::Failure(QUOIN_CORRUPT,
                         "named data '" + std::string(key) + "' has another size than compiled, or is misaligned");
    named_.push_back(static_cast<const char*>(found.data));
    regions.named.push_back(info.bytes);
  }
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
    check_follows(instruction, checker);
    steps_.push_back({instruction, operation});
  }
  reader.align(kAlign);
}

// A shorter run must use less of what was checked for the longest one: fewer rows, elements or dims, and a place of x
// not before its beginning.
void Executor::check_follows(const Instruction& i, const Checker& checker) const {
  if (i.follows == 0 && i.x_step == 0) return;
  checker.require(longest_ != 0, "it follows the length of a run that has none");
  const auto multiple = [&](int64_t size, uint64_t bit) {
    checker.require((i.follows & bit) == 0 || (size >= longest_ && size % longest_ == 0),
                    "a size that follows the length is no multiple of it");
  };
  multiple(i.rows, kFollowRows);
  multiple(i.n, kFollowN);
  for (uint32_t d = 0; d < kMaxDims; ++d) multiple(i.dims[d], uint64_t{kFollowDims} << d);
  constexpr uint64_t known = kFollowRows | kFollowN | (((uint64_t{1} << kMaxDims) - 1) * kFollowDims);
  checker.require((i.follows & ~known) == 0, "it follows the length in an unknown way");
  checker.require(i.x_step == 0 || (i.op == Op::copy_f32 && i.x_step % static_cast<int64_t>(sizeof(float)) == 0),
                  "a step that is none of a copy's");
  checker.require(i.x_step >= 0 && static_cast<uint64_t>(checker.mul(i.x_step, longest_ - 1)) <= i.x.offset,
                  "an operand leaves its region");
}

uint64_t Executor::bytes_of(const TensorInfo& info, int64_t length) const {
  return info.follows == 0 ? info.bytes : info.bytes / static_cast<uint64_t>(longest_) * static_cast<uint64_t>(length);
}

int64_t Executor::length_of(sdk::Array<quoin_tensor> inputs) const {
  for (uint32_t i = 0; i < inputs_.size(); ++i)
    if (const quoin_tensor tensor = inputs[i]; inputs_[i].follows != 0) return tensor.rank == 0 ? 0 : tensor.dims[0];
  return 1;
}

void Executor::check_tensor(const quoin_tensor& tensor, const TensorInfo& info, int64_t length,
                            const char* what) const {
  const std::span<const int64_t> dims(tensor.dims, tensor.rank);
  std::array<int64_t, kMaxDims> room{};  // nothing here allocates: plan() is called for every new length
  const std::span<int64_t> expected(room.data(), info.rank);
  std::copy_n(info.dims, info.rank, room.begin());
  if (info.follows != 0) expected[0] = std::clamp<int64_t>(length, 1, longest_);
  if (tensor.dtype != info.dtype || !std::equal(dims.begin(), dims.end(), expected.begin(), expected.end()))
    throw sdk::Failure(QUOIN_UNSUPPORTED,
                       std::string(what) + " was compiled for " + text(expected) + ", found " + text(dims));
}

void Executor::plan(sdk::Array<quoin_tensor> inputs, sdk::Array<quoin_tensor> outputs, quoin_memory_need& need) const {
  if (inputs.size() != inputs_.size() || outputs.size() != outputs_.size())
    throw sdk::Failure(QUOIN_INVALID, "number of inputs or outputs differs from the compiled graph");
  const int64_t length = length_of(inputs);
  for (uint32_t i = 0; i < inputs.size(); ++i) check_tensor(inputs[i], inputs_[i], length, "input");
  for (uint32_t o = 0; o < outputs.size(); ++o) {
    const quoin_tensor tensor = outputs[o];
    if (tensor.rank != outputs_[o].rank)
      throw sdk::Failure(QUOIN_UNSUPPORTED, "an output has another rank than compiled");
    std::copy_n(outputs_[o].dims, tensor.rank, tensor.dims);
    if (outputs_[o].follows != 0) tensor.dims[0] = length;
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
  const int64_t length = length_of(run.inputs);
  if (longest_ != 0 && (length < 1 || length > longest_))
    throw sdk::Failure(QUOIN_INVALID,
                       "a length of " + std::to_string(length) + ", compiled for at most " + std::to_string(longest_));
  const size_t tensors = inputs_.size() + outputs_.size();
  std::array<char*, kManyTensors> few{};
  std::vector<char*> many(tensors > kManyTensors ? tensors : 0);
  const std::span<char*> pointers = many.empty() ? std::span<char*>(few) : std::span<char*>(many);
  for (uint32_t n = 0; n < tensors; ++n) {
    const bool input = n < inputs_.size();
    const uint32_t index = input ? n : n - static_cast<uint32_t>(inputs_.size());
    const quoin_tensor tensor = input ? run.inputs[index] : run.outputs[index];
    if (tensor.data == nullptr || tensor.size != bytes_of((input ? inputs_ : outputs_)[index], length))
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
                        named_,
                        pointers.first(inputs_.size()),
                        pointers.subspan(inputs_.size(), outputs_.size()),
                        run.raw.cancel};
  for (const Step& step : steps_) {
    if (context.cancelled()) break;
    const sdk::Event event(run.raw.profiler, step.operation->name, step.instruction.debug_id);
    if (length < longest_ && (step.instruction.follows != 0 || step.instruction.x_step != 0))
      step.operation->run(shortened(step.instruction, length, longest_), context);
    else
      step.operation->run(step.instruction, context);
  }
  if (context.cancelled()) throw sdk::Failure(QUOIN_CANCELLED, "cancelled");
}

}  // namespace quoin::cpu
