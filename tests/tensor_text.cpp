// Text for messages: what comes from outside must not command a terminal or fill it.
#include "tensor/text.h"

#include <boost/test/unit_test.hpp>
#include <cmath>

using namespace nf;

BOOST_AUTO_TEST_SUITE(tensor_text)

BOOST_AUTO_TEST_CASE(printable_shows_what_a_terminal_would_obey) {
  struct Case {
    std::string text, shown;
  };
  const Case cases[] = {
      {"plain text, 'quoted' \\ ~", "plain text, 'quoted' \\ ~"},
      {"gr\u00F6\u00DFe \u4E2D \U0001F600", "gr\u00F6\u00DFe \u4E2D \U0001F600"},
      {"\x1B[31mred\x07\n\t\x7F", "\\x1b[31mred\\x07\\x0a\\x09\\x7f"},
      {"\u009B31m", "\\x9b31m"},
      {"a\u202Eb\u202Ac\u2066d\u2069", "a\\u202eb\\u202ac\\u2066d\\u2069"},
      {"a\u200Bb\u200Dc\uFEFFd\u2028", "a\\u200bb\\u200dc\\ufeffd\\u2028"},
      {"\U000E0041", "\\u0e0041"},
      {"\xFF\xC3(\xE2\x82", "\\xff\\xc3(\\xe2\\x82"},
      {"\xC0\xAF\xED\xA0\x80\xF5", "\\xc0\\xaf\\xed\\xa0\\x80\\xf5"},  // overlong, surrogate
      {std::string("a\0b", 3), "a\\x00b"},
      {"", ""},
  };
  for (const Case& c : cases) {
    BOOST_TEST(printable(c.text) == c.shown);
    BOOST_TEST(printable(printable(c.text)) == c.shown);
    BOOST_TEST(is_utf8(printable(c.text)));
  }
}

BOOST_AUTO_TEST_CASE(json_has_no_characters_that_a_terminal_obeys) {
  BOOST_TEST(printable_json("{\"a\\n\": \"gr\u00F6\u00DFe \u4E2D \U0001F600\"}") ==
             "{\"a\\n\": \"gr\u00F6\u00DFe \u4E2D \U0001F600\"}");
  BOOST_TEST(printable_json("[\"a\u202Eb\u009Bc\x7F\"]") == "[\"a\\u202eb\\u009bc\\u007f\"]");
  BOOST_TEST(printable_json("[\"\U000E0041\"]") == "[\"\\udb40\\udc41\"]");
}

BOOST_AUTO_TEST_CASE(numbers_have_the_digits_that_they_need) {
  const std::pair<double, std::string> cases[] = {{1e6, "1000000"},
                                                  {-1e6, "-1000000"},
                                                  {0, "0"},
                                                  {123456789012345, "123456789012345"},
                                                  {1e15, "1e+15"},
                                                  {1e18, "1e+18"},
                                                  {0.49, "0.49"},
                                                  {6e-8, "6e-08"},
                                                  {0.9999999, "0.9999999"},
                                                  {1e5, "100000"},
                                                  {2.5e6, "2500000"},
                                                  {INFINITY, "inf"}};
  for (const auto& [number, text] : cases) BOOST_TEST(digits(number) == text);
}

BOOST_AUTO_TEST_CASE(long_texts_are_cut_in_their_middle) {
  std::string name = "begin" + std::string(60'000, 'x') + "end";
  const std::string shown = printable(name);
  BOOST_TEST(shown.size() <= 160);
  BOOST_TEST(shown.starts_with("begin"));
  BOOST_TEST(shown.ends_with("end"));
  BOOST_TEST(shown.find("...(60008 bytes)...") != std::string::npos);
  std::string wide, hostile;
  for (int i = 0; i < 1000; ++i) {
    wide += "\u4E2D";
    hostile += '\x1B';
  }
  for (const std::size_t most : {0UL, 1UL, 40UL, 41UL, 42UL, 160UL}) {
    for (const std::string* text : {&name, &wide, &hostile}) {
      const std::string once = printable(*text, most);
      BOOST_TEST(is_utf8(once));
      BOOST_TEST(once.size() <= std::max<std::size_t>(most, 24));
    }
  }
  BOOST_TEST(printable(printable(name)) == printable(name));
}

BOOST_AUTO_TEST_CASE(the_nearest_of_absurdly_long_names_is_found_at_once) {
  const std::string a(1'000'000, 'a'), b(1'000'000, 'b');
  BOOST_TEST((nearest(a, {b, a}) == a));
  BOOST_TEST(nearest("trian", {"train", "resume"}) == "train");
}

BOOST_AUTO_TEST_SUITE_END()
