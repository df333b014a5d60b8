#include "program/tests.hpp"

#include <program_tests_generated.h>

#include <algorithm>
#include <cstring>

#include "program/fault.hpp"
#include "program/format.hpp"

namespace quoin::program {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

// Without the states.
std::vector<const Value*> arguments(const Graph& graph, const std::vector<uint32_t>& ids, uint32_t State::*position) {
  std::vector<const Value*> out;
  for (uint32_t i = 0; i < ids.size(); ++i)
    if (std::ranges::find(graph.states, i, position) == graph.states.end()) out.push_back(&graph.values[ids[i]]);
  return out;
}

bool fits(const Tensor& tensor, const Value& value) {
  const Shape& shape = value.type.shape;
  if (tensor.dtype() != value.type.dtype || tensor.shape().size() != shape.size()) return false;
  for (size_t i = 0; i < shape.size(); ++i) {
    const bool dynamic = (value.dynamic >> i & 1) != 0;
    if (dynamic ? tensor.shape()[i] < 1 || tensor.shape()[i] > shape[i] : tensor.shape()[i] != shape[i]) return false;
  }
  return true;
}

Status verify_tensors(const std::vector<Tensor>& tensors, const std::vector<const Value*>& values,
                      std::string_view what) {
  if (tensors.size() != values.size()) return bad("{} {}s, the method has {}", tensors.size(), what, values.size());
  for (size_t i = 0; i < tensors.size(); ++i)
    if (!fits(tensors[i], *values[i]))
      return bad("{} {} ({}) is {}{}, the method has {}", what, i, values[i]->name, name(tensors[i].dtype()),
                 to_string(tensors[i].shape()), to_string(values[i]->type));
  return {};
}

Status verify_case(const TestCase& test, const Model& model) {
  if (test.name.size() > kMaxName)
    return fail(Code::limit, "a name of {} bytes, at most {}", test.name.size(), kMaxName);
  const auto method = std::ranges::find(model.methods, test.method, &Method::name);
  if (method == model.methods.end()) return bad("the program has no method {}", test.method);
  const Graph& graph = method->graph;
  QUOIN_CHECK(verify_tensors(test.inputs, arguments(graph, graph.inputs, &State::input), "input"));
  return verify_tensors(test.outputs, arguments(graph, graph.outputs, &State::output), "output");
}

Offset<fb::TestTensor> encode(FlatBufferBuilder& builder, const Tensor& tensor) {
  const auto bytes = tensor.as<uint8_t>();
  const auto data = builder.CreateVector(bytes.data(), bytes.size());
  const auto shape = builder.CreateVector(tensor.shape());
  return fb::CreateTestTensor(builder, static_cast<uint32_t>(tensor.dtype()), shape, data);
}

Offset<flatbuffers::Vector<Offset<fb::TestTensor>>> encode(FlatBufferBuilder& builder,
                                                           const std::vector<Tensor>& tensors) {
  std::vector<Offset<fb::TestTensor>> out;
  for (const Tensor& tensor : tensors) out.push_back(encode(builder, tensor));
  return builder.CreateVector(out);
}

// What is decoded is never more than the segment holds (view/tables.hpp says why that must be counted).
class TestDecoder {
 public:
  explicit TestDecoder(uint64_t bytes) : left_(bytes) {}

  Result<TestCase> decode(const fb::TestCase& from) {
    TestCase out;
    QUOIN_TRY(out.name, text(*from.name()));
    QUOIN_TRY(out.method, text(*from.method()));
    QUOIN_TRY(out.inputs, tensors(*from.inputs(), "input"));
    QUOIN_TRY(out.outputs, tensors(*from.outputs(), "output"));
    return out;
  }

 private:
  Status spend(uint64_t bytes) {
    if (bytes > left_) return bad("more content than the segment has bytes: parts of it are referred to twice");
    left_ -= bytes;
    return {};
  }
  Result<std::string> text(const flatbuffers::String& from) {
    QUOIN_CHECK(spend(from.size()));
    return from.str();
  }
  Result<Tensor> tensor(const fb::TestTensor& from) {
    const auto dtype = dtype_from_code(from.dtype());
    if (!dtype) return bad("element type code {}", from.dtype());
    const size_t rank = from.shape() == nullptr ? 0 : from.shape()->size();
    if (rank > kMaxRank) return bad("rank {}", rank);
    Shape shape(rank);
    if (rank != 0) std::memcpy(shape.data(), from.shape()->Data(), rank * sizeof(int64_t));
    QUOIN_CHECK(checked_numel(shape));
    const auto bytes = static_cast<uint64_t>(byte_size(*dtype, shape));
    if (from.data()->size() != bytes)
      return bad("{} bytes of data, {}{} takes {}", from.data()->size(), quoin::name(*dtype), to_string(shape), bytes);
    QUOIN_CHECK(spend(bytes));
    Tensor out(*dtype, std::move(shape));
    if (bytes != 0) std::memcpy(out.data(), from.data()->Data(), bytes);
    return out;
  }
  Result<std::vector<Tensor>> tensors(const flatbuffers::Vector<Offset<fb::TestTensor>>& from, std::string_view what) {
    std::vector<Tensor> out;
    for (const fb::TestTensor* item : from) {
      QUOIN_CHECK(spend(4));  // its place in the vector
      auto decoded = tensor(*item);
      if (!decoded) return std::move(decoded).failure().at("{} {}", what, out.size());
      out.push_back(*std::move(decoded));
    }
    return out;
  }

  uint64_t left_;
};

}  // namespace

Status verify_tests(std::span<const TestCase> tests, const Model& model) {
  if (tests.size() > kMaxTestCases) return fail(Code::limit, "{} tests, at most {}", tests.size(), kMaxTestCases);
  for (size_t i = 0; i < tests.size(); ++i)
    QUOIN_CHECK_AT(verify_case(tests[i], model), "test {} ({})", i, tests[i].name);
  return {};
}

std::vector<std::byte> encode_tests(std::span<const TestCase> tests) {
  FlatBufferBuilder builder;
  std::vector<Offset<fb::TestCase>> cases;
  for (const TestCase& test : tests) {
    const auto inputs = encode(builder, test.inputs), outputs = encode(builder, test.outputs);
    const auto name = builder.CreateString(test.name), method = builder.CreateString(test.method);
    cases.push_back(fb::CreateTestCase(builder, name, method, inputs, outputs));
  }
  fb::FinishTestsBuffer(builder, fb::CreateTests(builder, builder.CreateVector(cases)));
  const auto* bytes = reinterpret_cast<const std::byte*>(builder.GetBufferPointer());
  return {bytes, bytes + builder.GetSize()};
}

Result<std::vector<TestCase>> decode_tests(Bytes segment, const Model& model) {
  // A private copy, because another process may write to the mapped file.
  const Tensor copy(DType::u8, {static_cast<int64_t>(segment.size())});
  if (!segment.empty()) std::memcpy(const_cast<void*>(copy.data()), segment.data(), segment.size());
  const auto* bytes = static_cast<const uint8_t*>(copy.data());
  constexpr flatbuffers::uoffset_t kMaxDepth = 8;
  flatbuffers::Verifier verifier(bytes, segment.size(), kMaxDepth,
                                 static_cast<flatbuffers::uoffset_t>(segment.size() / 12 + 16));
  if (segment.size() < 8 || !fb::VerifyTestsBuffer(verifier)) return bad("its FlatBuffer is damaged");
  TestDecoder decoder(segment.size());
  std::vector<TestCase> tests;
  for (const fb::TestCase* item : *fb::GetTests(bytes)->cases()) {
    auto decoded = decoder.decode(*item);
    if (!decoded) return std::move(decoded).failure().at("test {}", tests.size());
    tests.push_back(*std::move(decoded));
  }
  QUOIN_CHECK(verify_tests(tests, model));
  return tests;
}

}  // namespace quoin::program
