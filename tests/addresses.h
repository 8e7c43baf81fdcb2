// Whether a test may limit the address space of the program that it starts.
#pragma once

#include <boost/test/unit_test.hpp>

namespace nf::test {

/// The sanitizers need terabytes of addresses.
inline boost::test_tools::assertion_result addresses_can_be_limited(
    boost::unit_test::test_unit_id) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return false;
#else
  return true;
#endif
}

}  // namespace nf::test
