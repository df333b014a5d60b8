// Views of our types in the ABI's structs. They borrow: what is viewed must outlive the view.
#pragma once

#include <quoin/abi.h>

#include <list>
#include <string>
#include <string_view>
#include <vector>

#include "ops/schema.hpp"

namespace quoin {

inline quoin_str abi_str(std::string_view text) { return {text.data(), text.size()}; }

template <class T>
quoin_array abi_array(const std::vector<T>& items) {
  return {items.data(), static_cast<uint32_t>(items.size()), sizeof(T)};
}

// Attributes as key/value lists. Keeps the string headers alive that text attributes point to.
class AbiParams {
 public:
  quoin_param param(const std::string& key, const Attr& attr);
  // In the order of the map: by name. Valid until the object dies.
  quoin_array list(const Attrs& attrs);

 private:
  std::list<quoin_str> texts_;  // lists: pointers into them stay valid as they grow
  std::list<std::vector<quoin_param>> lists_;
};

}  // namespace quoin
