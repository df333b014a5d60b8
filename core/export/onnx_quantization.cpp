// quantized_decomposed.quantize_* and dequantize_* with known qparams -> QuantizeLinear and DequantizeLinear.
#include <algorithm>
#include <cmath>

#include "export/onnx_ops.hpp"

namespace quoin::exporter {
namespace {

constexpr std::string_view kQuantize = "quantized_decomposed.quantize_",
                           kDequantize = "quantized_decomposed.dequantize_";
constexpr int32_t kUint4 = 21, kInt4 = 22;  // onnx.TensorProto.DataType since ONNX 1.16

template <class T>
std::vector<double> widen(const Tensor& tensor) {
  const auto from = tensor.as<T>();
  return {from.begin(), from.end()};
}

// Elements of a constant of integers or floats; empty for other types, which inference lets nobody use here.
std::vector<double> elements(const Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::f32:
      return widen<float>(tensor);
    case DType::f64:
      return widen<double>(tensor);
    case DType::s8:
      return widen<int8_t>(tensor);
    case DType::u8:
      return widen<uint8_t>(tensor);
    case DType::s16:
      return widen<int16_t>(tensor);
    case DType::u16:
      return widen<uint16_t>(tensor);
    case DType::s32:
      return widen<int32_t>(tensor);
    case DType::s64:
      return widen<int64_t>(tensor);
    default:
      return {};
  }
}

// The integers of a quantized tensor.
struct Grid {
  DType dtype = DType::s8;  // storage
  double low = 0, high = 0;
  std::vector<double> scale, zero_point;  // equally many
  Shape shape;                            // of both: none, one per channel, or one per block
  Attrs attrs;                            // axis, block_size

  bool is_signed() const { return dtype != DType::u8 && dtype != DType::u16; }
  double storage_low() const { return is_signed() ? -std::exp2(bits(dtype) - 1) : 0; }
  double storage_high() const { return std::exp2(bits(dtype) - (is_signed() ? 1 : 0)) - 1; }
  bool whole_storage() const { return low <= storage_low() && high >= storage_high(); }
};

// Whether scale or zero point are known only when the model runs; per token they count as such.
bool is_dynamic(const Call& call) {
  if (call.node().op().ends_with("_per_token.default")) return true;
  return call.input_count() >= 2 && (!call.known(1) || (call.has_in(2) && !call.known(2)));
}

// Whether nobody but dequantize nodes reads the integers, so that they may be any that stand for the same reals.
bool is_private(const Call& call, ir::ValueId integers) {
  const ir::Graph& graph = call.graph();
  return !graph.is_graph_output(integers) && std::ranges::all_of(graph.value(integers).users, [&](const ir::Use& use) {
    return use.slot == 0 && graph.node(use.node).op().starts_with(kDequantize);
  });
}

// s8 integers that a quantize node makes, as u8: 128 higher, like the zero points.
void make_unsigned(const Call& call, Grid& grid) {
  const bool quantizes = call.node().op().starts_with(kQuantize);
  const ir::ValueId integers = quantizes ? call.node().outputs[0] : call.id(0);
  const ir::NodeId maker = call.graph().value(integers).producer;
  if (!call.target().unsigned_activations || grid.dtype != DType::s8 || maker == ir::kNone) return;
  if (!call.graph().node(maker).op().starts_with(kQuantize) || !is_private(call, integers)) return;
  constexpr double kShift = 128;
  grid.dtype = DType::u8;
  grid.low += kShift;
  grid.high += kShift;
  for (double& zero : grid.zero_point) zero += kShift;
}

Status check_opset(const Call& call, const Grid& grid) {
  if (bits(grid.dtype) == 16) QUOIN_CHECK(call.need(kNewOpset, fmt::format("quantization to {}", name(grid.dtype))));
  if (grid.attrs.contains("block_size"))
    QUOIN_CHECK(call.need(kNewOpset, fmt::format("quantization in blocks of {}", get_int(grid.attrs, "block_size"))));
  const bool centred = std::ranges::all_of(grid.zero_point, [](double zero) { return zero == 0; });
  if (grid.dtype == DType::s32 && !centred)
    return fail(Code::unsupported, "s32 with a zero point other than 0 has no ONNX form");
  return {};
}

// Which elements share a scale, of blocks of any shape: all, those of one channel, or blocks along one axis.
Status read_blocks(const Call& call, Grid& grid) {
  const Shape &x = call.shape(0), &block = get_ints(call.attrs(), "block_size");
  Shape divided;           // axes with more than one block
  int64_t long_axis = -1;  // the last one along which a block has more than one element
  size_t long_axes = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const auto axis = static_cast<int64_t>(i);
    grid.shape.push_back(x[i] / block[i]);
    if (block[i] != x[i]) divided.push_back(axis);
    if (block[i] == 1) continue;
    long_axis = axis;
    ++long_axes;
  }
  if (divided.empty()) {
    grid.shape.clear();
  } else if (divided.size() == 1 && block[static_cast<size_t>(divided[0])] == 1) {
    grid.shape = {x[static_cast<size_t>(divided[0])]};
    grid.attrs["axis"] = divided[0];
  } else if (long_axes == 1) {
    grid.attrs["axis"] = long_axis;
    grid.attrs["block_size"] = block[static_cast<size_t>(long_axis)];
  } else {
    return fail(Code::unsupported, "blocks of {} in {} have no ONNX form", to_string(block), to_string(x))
        .hint("ONNX has blocks along one axis, with one element along the others");
  }
  return {};
}

// Storage type and range of quantized_decomposed.* and torchao.* nodes.
void read_range(const Call& call, Grid& grid) {
  const Attrs& attrs = call.attrs();
  const char* const keys[] = {"dtype", "input_dtype", "output_dtype"};
  const auto* key = std::ranges::find_if(keys, [&](const char* each) { return has(attrs, each); });
  grid.dtype = *parse_dtype(get_text(attrs, *key));  // checked by the operator's type inference
  const auto end = [&](const char* name, double missing) {
    return has(attrs, name) ? static_cast<double>(get_int(attrs, name)) : missing;
  };
  grid.low = end("quant_min", grid.storage_low());
  grid.high = end("quant_max", grid.storage_high());
}

Status read_scales(const Call& call, Grid& grid) {
  const Attrs& attrs = call.attrs();
  if (call.input_count() < 2) {
    grid.scale = {get_number(attrs, "scale")};
    grid.zero_point = {static_cast<double>(get_int(attrs, "zero_point"))};
    return {};
  }
  grid.scale = elements(*call.known(1));
  if (call.has_in(2)) grid.zero_point = elements(*call.known(2));
  if (has(attrs, "zero_point_domain") && get_text(attrs, "zero_point_domain") == "FLOAT")
    return fail(Code::unsupported, "zero points that are real numbers have no ONNX form");
  if (grid.zero_point.empty()) grid.zero_point.assign(grid.scale.size(), 0);
  return {};
}

Result<Grid> read_grid(const Call& call) {
  const Attrs& attrs = call.attrs();
  Grid grid;
  read_range(call, grid);
  QUOIN_CHECK(read_scales(call, grid));
  if (has(attrs, "block_size")) {
    QUOIN_CHECK(read_blocks(call, grid));
  } else if (has(attrs, "axis")) {
    grid.shape = call.shape(1);
    grid.attrs["axis"] = call.axis("axis", call.rank(0));
  } else if (has(attrs, "group_size")) {
    grid.shape = call.shape(1);
    grid.attrs["axis"] = int64_t{1};
    grid.attrs["block_size"] = get_int(attrs, "group_size");
  }
  for (const double scale : grid.scale)
    if (!(std::isfinite(scale) && static_cast<float>(scale) > 0))
      return fail(Code::model, "scale {} is not positive and finite", scale);
  for (const double zero : grid.zero_point)
    if (!(zero >= grid.storage_low() && zero <= grid.storage_high()))
      return fail(Code::unsupported, "zero point {} does not fit {}, which ONNX demands", zero, name(grid.dtype));
  QUOIN_CHECK(check_opset(call, grid));
  make_unsigned(call, grid);
  return grid;
}

template <class T>
Tensor as_tensor(DType dtype, const Shape& shape, const std::vector<double>& values) {
  Tensor out(dtype, shape);
  std::ranges::transform(values, out.as<T>().begin(), [](double value) { return static_cast<T>(value); });
  return out;
}

Tensor integers(DType dtype, const Shape& shape, const std::vector<double>& values) {
  switch (dtype) {
    case DType::u8:
      return as_tensor<uint8_t>(dtype, shape, values);
    case DType::s16:
      return as_tensor<int16_t>(dtype, shape, values);
    case DType::u16:
      return as_tensor<uint16_t>(dtype, shape, values);
    case DType::s32:
      return as_tensor<int32_t>(dtype, shape, values);
    default:
      return as_tensor<int8_t>(dtype, shape, values);
  }
}

// Two elements per byte, the first in the lower half.
Tensor packed(const std::vector<double>& values) {
  Tensor out(DType::u8, {static_cast<int64_t>((values.size() + 1) / 2)});
  const auto bytes = out.as<uint8_t>();
  for (size_t i = 0; i < values.size(); ++i) {
    const auto nibble = static_cast<uint8_t>(static_cast<int>(values[i]) & 15);
    bytes[i / 2] = static_cast<uint8_t>(bytes[i / 2] | (i % 2 == 0 ? nibble : nibble << 4));
  }
  return out;
}

// Whether a constant of bytes holds no more than 4 bits per element, by its range and in fact.
bool is_four_bit(const Call& call, const Grid& grid) {
  const Tensor* constant = call.known(0);
  if (!constant || call.opset() < kNewOpset || bits(grid.dtype) != 8) return false;
  const double low = grid.is_signed() ? -8 : 0, high = grid.is_signed() ? 7 : 15;
  const auto fits = [&](double value) { return value >= low && value <= high; };
  return fits(grid.low) && fits(grid.high) && std::ranges::all_of(grid.zero_point, fits) &&
         std::ranges::all_of(elements(*constant), fits);
}

// x, scale and zero point of a DequantizeLinear of 4-bit elements.
Names four_bit_operands(const Call& call, const Grid& grid) {
  const int32_t code = grid.is_signed() ? kInt4 : kUint4;
  const std::string& name = call.graph().value(call.id(0)).name;
  const auto nibbles = [&](const std::string& base, const std::vector<double>& values, const Shape& shape) {
    return call.to().constant(base, packed(values), code, shape);
  };
  return {nibbles(name + ".4bit", elements(*call.known(0)), call.shape(0)),
          call.constant("scale", as_tensor<float>(DType::f32, grid.shape, grid.scale)),
          nibbles(call.node().name + ".zero_point", grid.zero_point, grid.shape)};
}

Names operands(const Call& call, const Grid& grid, const std::string& x) {
  Names out{x, call.constant("scale", as_tensor<float>(DType::f32, grid.shape, grid.scale))};
  // int32 takes no zero point.
  if (grid.dtype != DType::s32)
    out.push_back(call.constant("zero_point", integers(grid.dtype, grid.shape, grid.zero_point)));
  return out;
}

// x limited to the reals that the range stands for: QuantizeLinear saturates at the ends of the storage type only.
Result<std::string> limited(const Call& call, const Grid& grid, const std::string& x) {
  if (grid.whole_storage()) return x;
  if (grid.attrs.contains("block_size"))
    return fail(Code::unsupported, "quantizing in groups to {}..{}, a part of {}, has no ONNX form", grid.low,
                grid.high, name(grid.dtype));
  Shape shape;
  if (!grid.shape.empty()) {
    shape.assign(call.rank(0), 1);
    shape[static_cast<size_t>(get_int(grid.attrs, "axis"))] = grid.shape[0];
  }
  const auto ends = [&](double end, const char* suffix) {
    Tensor out(DType::f32, shape);
    for (size_t i = 0; i < grid.scale.size(); ++i)
      out.as<float>()[i] = static_cast<float>(end - grid.zero_point[i]) * static_cast<float>(grid.scale[i]);
    return call.constant(suffix, std::move(out));
  };
  const std::string low = ends(grid.low, "low"), high = ends(grid.high, "high");
  if (shape.empty()) return call.step("Clip", {x, low, high});
  return call.step("Min", {call.step("Max", {x, low}), high});
}

}  // namespace

Status quantize(const Call& call) {
  if (is_dynamic(call)) return quantize_dynamic(call);
  QUOIN_TRY(const Grid grid, read_grid(call));
  if (grid.dtype == DType::s32)
    return fail(Code::unsupported, "quantizing to s32 at run time has no ONNX form")
        .hint("s32 constants (biases) have one: make the operand a constant");
  QUOIN_TRY(const std::string x, call.in_as(0, DType::f32));
  QUOIN_TRY(const std::string within, limited(call, grid, x));
  return call.result("QuantizeLinear", operands(call, grid, within), grid.attrs);
}

Status dequantize(const Call& call) {
  if (is_dynamic(call)) return dequantize_dynamic(call);
  QUOIN_TRY(const Grid grid, read_grid(call));
  if (is_four_bit(call, grid)) return call.result("DequantizeLinear", four_bit_operands(call, grid), grid.attrs);
  QUOIN_TRY(const std::string x, call.in(0));
  return call.result("DequantizeLinear", operands(call, grid, x), grid.attrs);
}

}  // namespace quoin::exporter
