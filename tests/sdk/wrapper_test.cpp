#include <gtest/gtest.h>
#include <quoin/plugin.hpp>

#include <vector>

extern "C" const quoin_plugin* quoin_c_plugin(void);

namespace quoin::sdk {
namespace {

TEST(Abi, CompilesAsC11) { EXPECT_STREQ(quoin_c_plugin()->name, "c"); }

// -- arrays

struct Wide {  // what a newer host would send
  quoin_preset known;
  uint64_t added;
};

TEST(Array, ReadsElementsOfANewerHeader) {
  const Wide items[] = {{{str("a"), str("first"), {}}, 7}, {{str("b"), str("second"), {}}, 8}};
  const Array<quoin_preset> array({items, 2, sizeof(Wide)});
  EXPECT_EQ(view(array[1].name), "b");
  EXPECT_EQ(view(array[1].doc), "second");
}

TEST(Array, ReadsElementsOfAnOlderHeaderWithZerosBehind) {
  const quoin_str items[] = {str("a"), str("b")};  // only the name existed
  const Array<quoin_preset> array({items, 2, sizeof(quoin_str)});
  EXPECT_EQ(view(array[1].name), "b");
  EXPECT_EQ(array[1].doc.data, nullptr);
  EXPECT_EQ(array[1].params.count, 0u);
}

TEST(Array, AnIndexPastTheEndIsAFailure) { EXPECT_THROW(Array<quoin_str>({nullptr, 0, 16})[0], Failure); }

// -- parameters

TEST(Params, GiveTypedValuesAndFallbacks) {
  const int64_t stride[] = {2, 3}, groups = 4;
  const double eps = 0.5;
  const quoin_param items[] = {{str("eps"), QUOIN_PARAM_FLOAT, 1, &eps},
                               {str("groups"), QUOIN_PARAM_INT, 1, &groups},
                               {str("stride"), QUOIN_PARAM_INT, 2, stride}};
  const Params params(Array<quoin_param>::of(items));
  EXPECT_EQ(params.integer("groups", 1), 4);
  EXPECT_EQ(params.integer("dilation", 1), 1);
  EXPECT_EQ(params.number("eps", 1), 0.5);
  EXPECT_EQ(params.number("groups", 1), 4.0);
  EXPECT_EQ(params.integers("stride")[1], 3);
  EXPECT_THROW(params.integer("eps", 1), Failure);
  EXPECT_THROW(params.integer("stride", 1), Failure) << "two elements are no scalar";
  EXPECT_THROW(params.integers("padding"), Failure);
}

// -- errors

TEST(Guard, CutsALongMessageBetweenCharacters) {
  quoin_error error{};
  error.struct_size = sizeof error;
  const std::string text = "x" + [] {
    std::string euros;
    for (int i = 0; i < 100; ++i) euros += "\u20ac";  // three bytes each
    return euros;
  }();
  EXPECT_EQ(guard(&error, [&] { throw Failure(QUOIN_INVALID, text); }), QUOIN_INVALID);
  EXPECT_EQ(error.message_size, 1u + 79 * 3);
  EXPECT_EQ(std::string_view(error.message, error.message_size), std::string_view(text).substr(0, 1 + 79 * 3));
}

// -- reader and writer

TEST(Reader, EveryTruncationIsCorrupt) {
  alignas(64) const char bytes[24] = {1};
  const auto read = [&](uint64_t size) {
    Reader reader({bytes, size});
    reader.get<uint32_t>();
    reader.align(8);
    reader.array<uint64_t>(2);
    return reader.rest();
  };
  EXPECT_EQ(read(24), 0u);
  for (uint64_t size = 0; size < 24; ++size) {
    try {
      read(size);
      FAIL() << "size " << size;
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.code, QUOIN_CORRUPT);
    }
  }
}

TEST(Reader, HugeCountsAndMisalignedFieldsAreCorrupt) {
  alignas(64) const char bytes[64] = {};
  EXPECT_THROW(Reader({bytes, 64}).array<uint64_t>(UINT64_MAX / 4), Failure);
  Reader reader({bytes, 64});
  reader.get<char>();
  EXPECT_THROW(reader.array<uint32_t>(1), Failure);
}

TEST(Blob, AlignsFromItsFirstByte) {
  std::vector<char> bytes;
  quoin_blob_writer writer{sizeof writer, 0, &bytes, nullptr, nullptr, nullptr};
  writer.write = [](void* self, quoin_bytes chunk) -> quoin_status {
    auto& to = *static_cast<std::vector<char>*>(self);
    to.insert(to.end(), static_cast<const char*>(chunk.data), static_cast<const char*>(chunk.data) + chunk.size);
    return QUOIN_OK;
  };
  Blob blob(&writer);
  blob.put(uint32_t{0x01020304});
  blob.align(64);
  blob.put(1.0f);
  blob.align(4);
  EXPECT_EQ(blob.size(), 68u);
  EXPECT_EQ(bytes.size(), 68u);
  EXPECT_EQ(bytes[3], 1);
  EXPECT_EQ(bytes[63], 0);
}

// -- guard

quoin_error fresh() {
  quoin_error error{};
  error.struct_size = sizeof error;
  return error;
}

TEST(Guard, TurnsExceptionsIntoStatuses) {
  quoin_error error = fresh();
  EXPECT_EQ(guard(&error, [] {}), QUOIN_OK);
  EXPECT_EQ(guard(&error, [] { throw Failure(QUOIN_UNSUPPORTED, "no such thing"); }), QUOIN_UNSUPPORTED);
  EXPECT_EQ(error.code, QUOIN_UNSUPPORTED);
  EXPECT_EQ(std::string_view(error.message, error.message_size), "no such thing");
  EXPECT_EQ(guard(&error, [] { throw std::bad_alloc(); }), QUOIN_OUT_OF_MEMORY);
  EXPECT_EQ(guard(&error, [] { throw std::runtime_error("odd"); }), QUOIN_INTERNAL);
  EXPECT_EQ(guard(&error, [] { throw 7; }), QUOIN_INTERNAL);
  EXPECT_EQ(guard(nullptr, [] { throw 7; }), QUOIN_INTERNAL);
}

TEST(Guard, LongMessagesAreCutAndShortErrorsLeftAlone) {
  quoin_error error = fresh();
  guard(&error, [] { throw Failure(QUOIN_INVALID, std::string(1000, 'x')); });
  EXPECT_EQ(error.message_size, sizeof error.message);
  quoin_error older{};
  older.struct_size = 8;
  guard(&older, [] { throw Failure(QUOIN_INVALID, "x"); });
  EXPECT_EQ(older.message_size, 0u);
}

// -- a backend

struct Half {  // a class of one role and an option
  static constexpr uint32_t blob_format = 2;
  static constexpr std::string_view vendor = "Tests";
  static constexpr uint64_t isa_required = QUOIN_ISA_AVX2;
  static constexpr int64_t kDepth = 3;
  static constexpr quoin_param_spec options[] = {param_spec("depth", QUOIN_SCOPE_LOAD, kDepth, "how deep", 1, 9)};
  Half(const quoin_host&, Params params) : depth(params.integer("depth", kDepth)) {}
  void partition(const LowerRequest&, Claims&) {}
  void compile(const LowerRequest&, Blob&) { throw Failure(QUOIN_UNSUPPORTED, "nothing to compile"); }
  void set_option(const quoin_param& param) {
    if (view(param.name) != "depth") throw Failure(QUOIN_NOT_FOUND, "unknown option");
    depth = *static_cast<const int64_t*>(param.data);
  }
  quoin_param get_option(std::string_view name) { return {str(name), QUOIN_PARAM_INT, 1, &depth}; }
  int64_t depth;
};
static_assert(Lowers<Half> && !Quantizes<Half> && !Runs<Half>);

quoin_host host_of(uint32_t minor) {
  quoin_host host{};
  host.struct_size = sizeof host;
  host.abi_major = QUOIN_ABI_MAJOR;
  host.abi_minor = minor;
  return host;
}

TEST(Table, HasExactlyTheRolesOfTheClass) {
  const quoin_host host = host_of(0);
  const quoin_plugin* table = detail::plugin<Half>("half", "1.0.0", &host, nullptr);
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(table->quantizer, nullptr);
  EXPECT_EQ(table->executor, nullptr);
  ASSERT_NE(table->compiler, nullptr);
  EXPECT_EQ(table->compiler->blob_format, 2u);
  EXPECT_EQ(table->options.count, 1u);
}

TEST(Table, OpensSetsOptionsAndReportsFailures) {
  const quoin_host host = host_of(0);
  const quoin_plugin* table = detail::plugin<Half>("half", "1.0.0", &host, nullptr);
  quoin_backend* backend = nullptr;
  quoin_error error = fresh();
  ASSERT_EQ(table->open(&host, {}, &backend, &error), QUOIN_OK);
  const int64_t five = 5;
  const quoin_param depth{str("depth"), QUOIN_PARAM_INT, 1, &five}, width{str("width"), QUOIN_PARAM_INT, 1, &five};
  EXPECT_EQ(table->set_option(backend, &depth, &error), QUOIN_OK);
  EXPECT_EQ(table->set_option(backend, &width, &error), QUOIN_NOT_FOUND);
  quoin_param found{};
  EXPECT_EQ(table->get_option(backend, str("depth"), &found, &error), QUOIN_OK);
  EXPECT_EQ(*static_cast<const int64_t*>(found.data), 5);
  quoin_graph graph{};
  graph.struct_size = sizeof graph;
  const quoin_lower_request request{sizeof request, 0, &graph, {}, 0};
  const quoin_blob_writer writer{};
  EXPECT_EQ(table->compiler->compile(backend, &request, &writer, &error), QUOIN_UNSUPPORTED);
  table->close(backend);
}

TEST(Manifest, IsBuiltFromTheClass) {
  constexpr detail::Text text = detail::manifest<Half>("half", "1.0.0");
  EXPECT_EQ(std::string_view(text.data.data(), text.size),
            R"({"name":"half","version":"1.0.0","vendor":"Tests","abi":{"major":1,"minor":0,"minor_required":0},)"
            R"("roles":["compiler"],"isa_required":["avx2"],"blob_format":2})");
}

struct Demanding : Half {
  using Half::Half;
  static constexpr uint32_t abi_minor_required = 4;
};

TEST(Table, RefusesAnOlderHostInWords) {
  const quoin_host older = host_of(3), newer = host_of(5);
  quoin_error why = fresh();
  EXPECT_EQ(detail::plugin<Demanding>("d", "1", &older, &why), nullptr);
  EXPECT_EQ(why.code, QUOIN_INCOMPATIBLE);
  EXPECT_GT(why.message_size, 0u);
  EXPECT_NE(detail::plugin<Demanding>("d", "1", &newer, nullptr), nullptr);
}

}  // namespace
}  // namespace quoin::sdk
