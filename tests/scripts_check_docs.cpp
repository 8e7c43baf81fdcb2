// scripts/check_docs: a page that holds passes, and each kind of breach is found and named.
#include <boost/test/unit_test.hpp>

#include "cli_util.h"
#include "data_util.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(scripts_check_docs)

namespace {

/// Checks one page; its scratch folder has the build folder of FLOWCLI.
Outcome check(const std::string& markdown) {
  const TempFolder folder;
  const std::string page = folder.write("page.md", markdown), out = folder.path("out");
  const auto root = std::filesystem::path(__FILE__).parent_path().parent_path();
  const std::string command =
      "NF_BUILD_DIR=" + std::filesystem::path(FLOWCLI).parent_path().string() + " '" +
      (root / "scripts/check_docs").string() + "' " + page + " >" + out + " 2>&1";
  const int status = std::system(command.c_str());
  return {WEXITSTATUS(status), slurp(out), ""};
}

std::string fence(const std::string& info, const std::string& body) {
  return "```" + info + "\n" + body + "\n```\n";
}

constexpr const char* kVersions = "#pragma once\n...\nclass Storage {\n public:\n...\n};";

}  // namespace

BOOST_AUTO_TEST_CASE(what_holds_passes) {
  const std::string pages[] = {
      "",
      fence("text", "anything"),
      fence("cpp tensor/storage.h", kVersions),
      fence("cpp tensor/storage.h", "  void* data() const { return data_; }"),
      fence("cpp tensor/storage.h", "void* data() const { return data_; }"),  // indented elsewhere
      fence("console", "$ true\n$ echo one two; echo three\none two\nthree"),
      fence("console", "$ echo one two; echo three; echo four\none ...\n...\nfour"),
      fence("console", "$ seq 3\n..."),
      fence("console", "$ echo 'a.b*c[d]'\na.b*c[d]"),
      fence("console", "$ echo one \\\ntwo\none two"),
      fence("console", "$ echo kept > file\n$ cat file\nkept\n$ test -d build"),
      fence("console", "$ build/flowcli --version >/dev/null"),
      "    flowcli train nice --data glyphs  # a comment --which-is-none\n    scripts/test\n",
      "See `tensor/storage.h`, `storage.h`, `flows/`, `Tensor::reshape`, `sum_to()`, `flowcli eval "
      "RUN`.",
      "A [link](page.md), [another](https://example.org/none).",
      "## 1. What `it` is\n[here](#1-what-it-is), [there](page.md#1-what-it-is)",
      fence("console", "$ echo > page.md") + "![a](page.md)",
  };
  for (const std::string& page : pages) {
    const Outcome outcome = check(page);
    BOOST_TEST(outcome.status == 0, page << outcome.out);
  }
}

BOOST_AUTO_TEST_CASE(each_breach_is_named_with_its_line) {
  struct Row {
    std::string page, complaint;
  };
  const std::string no_name = std::string("no_such") + "_name";  // whole, it would be in the code
  const Row rows[] = {
      {fence("cpp", "int i;"), "page.md:1: the fence 'cpp' cannot be checked"},
      {fence("cpp none.h", "int i;"), "there is no file none.h to quote"},
      {fence("cpp tensor/storage.h", "class Storage {\nprivate:"),
       "from the line 'class Storage {'"},
      {fence("cpp tensor/storage.h", " public:\nclass Storage {"), "from the line ' public:'"},
      {fence("cpp tensor/storage.h", "class Storage {\n...\n#pragma once"), "'#pragma once'"},
      {fence("cpp tensor/storage.h", "class Storage {\n  public:"), "'class Storage {'"},
      {"text\n" + fence("console", "$ true\n$ false"), "page.md:4: exit status 1 of 'false'"},
      {fence("console", "$ echo one\ntwo"), "'echo one' printed something else:\none"},
      {fence("console", "$ echo one; echo two\none"), "printed something else"},
      {fence("console", "$ seq 3\n1...\n3"), "printed something else"},
      {fence("console", "$ echo abc\na.c"), "printed something else"},
      {fence("console", "one"), "output without a command"},
      {"```text\nnever closed", "page.md:1: the fence is not closed"},
      {"    build/flowcli trian nice\n", "flowcli has no command trian"},
      {"    flowcli train nice --epoch 3\n", "flowcli train has no option --epoch"},
      {"    scripts/none\n", "there is no scripts/none"},
      {"So says `tensor/none.h`.", "there is no file or folder tensor/none.h"},
      {"See `Tensor::" + no_name + "`.", "the code has no name '" + no_name + "'"},
      {"Run `flowcli eval RUN --splat test`.", "flowcli eval has no option --splat"},
      {"A [link](none.md).", "the link to none.md leads nowhere"},
      {"## What\nA [link](#how).", "the link to #how leads nowhere"},
      {"A [link](page.md#how).", "the link to page.md#how leads nowhere"},
      {fence("console", "$ true") + "![a](page.md)", "page.md:4: no command of this page makes"},
  };
  for (const Row& row : rows) {
    const Outcome outcome = check(row.page);
    BOOST_TEST(outcome.status == 1, row.page);
    BOOST_TEST(outcome.out.find(row.complaint) != std::string::npos, row.page << outcome.out);
  }
}

BOOST_AUTO_TEST_SUITE_END()
