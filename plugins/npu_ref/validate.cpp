#include "validate.hpp"

#include "geometry.hpp"
#include "nodes.hpp"

namespace quoin::npu {
namespace {

constexpr uint32_t kMaxPorts = 1u << 12, kMaxCommands = 1u << 20;

[[noreturn]] void corrupt(const std::string& what) { throw sdk::Failure(QUOIN_CORRUPT, what); }

bool between(int64_t value, int64_t low, int64_t high) { return value >= low && value <= high; }

uint32_t port_element(const Port& p) { return p.dtype == QUOIN_S16 ? 2 : 1; }

// Which bytes of the arena a tensor takes.
struct Extent {
  uint64_t begin, end;
};

class Checker {
 public:
  Checker(const Program& program, size_t index) : program_(program), index_(index), c_(program.commands[index]) {}

  void run() const {
    require(c_.kind < Kind::count_ && c_.reserved == 0, "an unknown kind");
    require(between(c_.x_bytes, 1, 2) && between(c_.y_bytes, 1, 2), "an element of neither 1 nor 2 bytes");
    require(c_.kind == Kind::move || c_.x_bytes == c_.y_bytes, "two element sizes");
    check_shape(c_.in, c_.x_bytes);
    check_shape(c_.out, c_.y_bytes);
    const int32_t top = (1 << (8 * c_.y_bytes - 1)) - 1;
    require(between(c_.low, -top - 1, top) && between(c_.high, c_.low, top), "a range beyond the type of its result");
    if (c_.kind == Kind::load) return port(c_.x, 0, program_.header.num_inputs, c_.y);
    if (c_.kind == Kind::store) return port(c_.y, program_.header.num_inputs, program_.header.num_outputs, c_.x);
    const Extent y = extent(c_.y, c_.out, c_.y_bytes);
    apart(extent(c_.x, c_.in, c_.x_bytes), y);
    if (c_.kind == Kind::add) return add(y);
    if (c_.kind == Kind::move) return move();
    window();
  }

 private:
  void require(bool holds, const char* what) const {
    if (!holds) corrupt("command " + std::to_string(index_) + " has " + what);
  }

  void check_shape(const Shape& s, uint32_t element) const {
    require(between(s.channels, 1, kMaxChannels) && between(s.height, 1, kMaxSide) && between(s.width, 1, kMaxSide) &&
                tensor_bytes(s, element) <= static_cast<uint64_t>(kMaxTensorKib) << 10,
            "a tensor of impossible size");
  }
  Extent extent(uint64_t offset, const Shape& s, uint32_t element) const {
    const uint64_t bytes = tensor_bytes(s, element), arena = program_.header.arena_bytes;
    require(offset % kAlign == 0 && offset <= arena && bytes <= arena - offset, "a tensor outside of device memory");
    return {offset, offset + bytes};
  }
  void apart(const Extent& x, const Extent& y) const {
    require(x.end <= y.begin || y.end <= x.begin, "a result that overlaps its operand");
  }
  void data(uint64_t offset, uint64_t bytes) const {
    const uint64_t all = program_.header.data_bytes;
    require(offset % kAlign == 0 && offset <= all && bytes <= all - offset, "parameters outside of the blob");
  }

  void port(uint64_t index, uint32_t first, uint32_t count, uint64_t tensor) const {
    require(index < count, "a port that does not exist");
    const Port& p = program_.ports[first + static_cast<uint32_t>(index)];
    require(c_.in == c_.out && c_.in == shape_of(p) && c_.x_bytes == port_element(p), "another type than its port");
    extent(tensor, c_.in, c_.x_bytes);
  }
  void add(const Extent& y) const {
    require(c_.in == c_.out, "operands of another shape than the result");
    apart(extent(c_.x2, c_.in, c_.x_bytes), y);
    require(
        between(c_.left, 0, kMaxAddShift) && between(c_.left2, 0, kMaxAddShift) && between(c_.right, 0, kMaxRightShift),
        "a shift out of range");
  }
  void move() const {
    require(between(c_.first_block, 0, blocks(c_.out.channels) - blocks(c_.in.channels)) &&
                between(c_.pad_top, 0, c_.out.height - c_.in.height) &&
                between(c_.pad_left, 0, c_.out.width - c_.in.width),
            "an operand outside of the result");
    require(between(c_.left, 0, kMaxLeftShift) && between(c_.right, 0, kMaxRightShift), "a shift out of range");
  }

  void window() const {
    const bool pool = c_.kind == Kind::max_pool || c_.kind == Kind::average;
    const int32_t most = pool ? kMaxPoolWindow : kMaxKernel;
    require(between(c_.kernel_h, 1, most) && between(c_.kernel_w, 1, most) && between(c_.stride_h, 1, kMaxStride) &&
                between(c_.stride_w, 1, kMaxStride) && between(c_.pad_top, 0, c_.kernel_h - 1) &&
                between(c_.pad_left, 0, c_.kernel_w - 1),
            "a window out of range");
    require(c_.kind == Kind::convolve || c_.in.channels == c_.out.channels, "channels that come from nowhere");
    require(between(c_.band_rows, 1, c_.out.height) && sram_need(c_, c_.band_rows) <= program_.header.sram_bytes,
            "a band that exceeds the on-chip buffer");
    if (c_.kind == Kind::average) {
      require(between(c_.divisor, 1, kMaxDivisor), "a divisor out of range");
      require(between(c_.left, 0, kMaxLeftShift) && between(c_.right, 0, kMaxRightShift), "a shift out of range");
    }
    if (!pool) parameters();
  }
  void parameters() const {
    const auto count = static_cast<uint64_t>(blocks(c_.out.channels));
    data(c_.weights, count * weight_block_bytes(c_));
    data(c_.lanes, count * sizeof(Lanes));
    const auto* lanes = reinterpret_cast<const Lanes*>(program_.data + c_.lanes);
    for (uint64_t block = 0; block < count; ++block)
      for (const int32_t shift : lanes[block].shift)
        require(between(shift, 0, kMaxRightShift), "a lane with a shift out of range");
  }

  const Program& program_;
  const size_t index_;
  const Command& c_;
};

Header read_header(sdk::Reader& reader) {
  const auto header = reader.get<Header>();
  if (header.magic != kMagic) corrupt("not a program of npu_ref");
  if (header.format != kBlobFormat)
    throw sdk::Failure(QUOIN_INCOMPATIBLE,
                       "blob format " + std::to_string(header.format) + ", expected " + std::to_string(kBlobFormat));
  if (header.reserved != 0 || header.num_inputs > kMaxPorts || header.num_outputs > kMaxPorts ||
      header.num_commands > kMaxCommands || header.arena_bytes % kAlign != 0 || header.arena_bytes > kMaxArenaBytes ||
      header.sram_bytes % kAlign != 0 || header.sram_bytes > static_cast<uint64_t>(kMaxSramKib) << 10)
    corrupt("a count or size in the header is out of range");
  reader.align(kAlign);
  return header;
}

Port read_port(sdk::Reader& reader) {
  const auto port = reader.get<Port>();
  if (port.dtype != QUOIN_S8 && port.dtype != QUOIN_S16) corrupt("a port is neither s8 nor s16");
  if (port.rank > kMaxRank || !device_shape(std::span(port.dims, port.rank))) corrupt("a port has no known shape");
  return port;
}

// Every result is written, so that no run returns what happened to be in memory.
void check_outputs(const Program& program) {
  std::vector<bool> stored(program.header.num_outputs);
  for (const Command& c : program.commands)
    if (c.kind == Kind::store) stored[c.y] = true;
  for (size_t o = 0; o < stored.size(); ++o)
    if (!stored[o]) corrupt("output " + std::to_string(o) + " is never stored");
}

}  // namespace

Shape shape_of(const Port& port) { return *device_shape(std::span(port.dims, port.rank)); }

uint64_t port_bytes(const Port& port) {
  const Shape s = shape_of(port);
  return static_cast<uint64_t>(s.channels) * static_cast<uint64_t>(s.height) * static_cast<uint64_t>(s.width) *
         port_element(port);
}

Program read_program(quoin_bytes blob) {
  sdk::Reader reader(blob);
  Program out;
  out.header = read_header(reader);
  for (uint32_t i = 0; i < out.header.num_inputs + out.header.num_outputs; ++i) out.ports.push_back(read_port(reader));
  reader.align(kAlign);
  const auto commands = reader.array<Command>(out.header.num_commands);
  out.commands.assign(commands.begin(), commands.end());
  reader.align(kAlign);
  out.data = reader.array<char>(out.header.data_bytes).data();
  if (reader.rest() != 0) corrupt("bytes follow the end of the blob");
  for (size_t i = 0; i < out.commands.size(); ++i) Checker(out, i).run();
  check_outputs(out);
  return out;
}

}  // namespace quoin::npu
