#include "tensor/files.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "tests/data_util.h"

using namespace nf;
using nf::test::bytes_of;
using nf::test::check_error;
using nf::test::TempFolder;

BOOST_AUTO_TEST_SUITE(tensor_files)

BOOST_AUTO_TEST_CASE(writes_and_reads_back) {
  TempFolder folder;
  const std::string path = folder.path("a.bin");
  for (const std::string& bytes :
       {std::string(), std::string("a\0b\n", 4), std::string(300000, 'x')}) {
    atomic_write(path, bytes);
    BOOST_CHECK(read_file(path, bytes.size()) == bytes);
  }
  atomic_write(path, [](FileWriter& out) {
    for (int i = 0; i < 1000; ++i) out.write("0123456789");
  });
  BOOST_CHECK_EQUAL(read_file(path, 10000).size(), 10000U);
  BOOST_CHECK_EQUAL(folder.files(), 1U);
}

BOOST_AUTO_TEST_CASE(the_old_file_stays_whole_when_the_writer_throws) {
  TempFolder folder;
  const std::string path = folder.write("a.bin", "old");
  const auto interrupted = [](FileWriter& out) {
    out.write(std::string(100000, 'x'));
    throw std::runtime_error("interrupted");
  };
  BOOST_CHECK_THROW(atomic_write(path, interrupted), std::runtime_error);
  BOOST_CHECK_EQUAL(bytes_of(path), "old");
  BOOST_CHECK_EQUAL(folder.files(), 1U);  // nothing is left beside it
}

BOOST_AUTO_TEST_CASE(errors_name_the_file_and_the_reason) {
  TempFolder folder;
  const std::string file = folder.write("a.bin", "12345");
  check_error([&] { read_file(folder.path("none"), 9); }, {"none", "No such file"});
  check_error([&] { read_file(folder.path(), 9); }, {folder.path(), "directory"});
  check_error([&] { read_file(file, 4); }, {"a.bin", "larger than 4 bytes"});
  check_error([&] { read_file("/dev/zero", 1000); }, {"/dev/zero", "larger than 1000 bytes"});
  check_error([&] { atomic_write(folder.path("no/a.bin"), "x"); }, {"no/a.bin", "No such file"});
  check_error([&] { atomic_write(folder.path(), "x"); }, {folder.path()});
  if (std::filesystem::exists("/dev/full")) {  // a disk without room
    std::FILE* full = std::fopen("/dev/full", "wb");
    const std::string name = "full.bin";
    FileWriter writer(full, name);
    check_error([&] { writer.write(std::string(1 << 20, 'x')); }, {"full.bin", "No space left"});
    std::fclose(full);
  }
}

BOOST_AUTO_TEST_CASE(a_pipe_is_not_waited_for) {
  TempFolder folder;
  BOOST_REQUIRE_EQUAL(mkfifo(folder.path("pipe").c_str(), 0600), 0);
  check_error([&] { read_file(folder.path("pipe"), 9); }, {"pipe", "not a file"});
}

BOOST_AUTO_TEST_CASE(pipes_and_devices_are_written_to) {
  TempFolder folder;
  const std::string path = folder.path("pipe");
  BOOST_REQUIRE_EQUAL(mkfifo(path.c_str(), 0600), 0);
  const pid_t reader = fork();
  if (reader == 0) {
    std::FILE* const file = std::fopen(path.c_str(), "rb");
    char bytes[9] = {};
    _exit(file && std::fread(bytes, 1, 8, file) == 5 && std::string(bytes) == "hello" ? 0 : 1);
  }
  atomic_write(path, "hello");
  int status = -1;
  BOOST_REQUIRE_EQUAL(waitpid(reader, &status, 0), reader);
  BOOST_CHECK_EQUAL(status, 0);
  check_error([] { atomic_write("/dev/full", "hello"); }, {"/dev/full", "No space left"});
  BOOST_CHECK_EQUAL(folder.files(), 1U);
}

BOOST_AUTO_TEST_CASE(what_killed_writers_left_is_removed_and_nothing_else) {
  TempFolder folder;
  const std::string path = folder.write("a.bin", "old");
  BOOST_CHECK(temporary_of(path) != temporary_of(path));
  folder.write(std::filesystem::path(temporary_of(path)).filename().string(), "torn");
  folder.write(std::filesystem::path(temporary_of(folder.path("b.bin"))).filename().string(), "b");
  folder.write("a.bin.tmp-mine", "a user's");
  remove_temporaries(folder.path(), [](const std::string& name) { return name == "a.bin"; });
  BOOST_CHECK_EQUAL(folder.files(), 3U);
  BOOST_CHECK_EQUAL(bytes_of(path), "old");
  BOOST_CHECK_EQUAL(bytes_of(folder.path("a.bin.tmp-mine")), "a user's");
}

BOOST_AUTO_TEST_CASE(appends_and_makes_folders) {
  TempFolder folder;
  make_folders(folder.path("one/two"));
  make_folders(folder.path("one/two"));
  const std::string path = folder.path("one/two/log");
  append_to_file(path, "a\n");
  append_to_file(path, "b\n");
  BOOST_CHECK_EQUAL(bytes_of(path), "a\nb\n");
  check_error([&] { make_folders(path); }, {path, "a file is in its place"});
  check_error([&] { make_folders(path + "/three"); }, {path + "/three", "Not a directory"});
  check_error([&] { append_to_file(folder.path("one"), "x"); }, {"one", "Is a directory"});
  const std::string link = folder.path("link"), before = bytes_of(path);
  std::filesystem::create_symlink(path, link);
  check_error([&] { append_to_file(link, "x"); }, {link, "a link"});
  BOOST_CHECK_EQUAL(bytes_of(path), before);
}

BOOST_AUTO_TEST_CASE(a_lock_is_for_one_process_and_dies_with_it) {
  TempFolder folder;
  const std::string path = folder.path(".lock");
  int ready[2];
  BOOST_REQUIRE_EQUAL(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto lock = FileLock::take(path);
    const char byte = lock ? 'y' : 'n';
    if (write(ready[1], &byte, 1) != 1) _exit(1);
    while (true) pause();
  }
  char byte = 0;
  BOOST_REQUIRE_EQUAL(read(ready[0], &byte, 1), 1);
  BOOST_CHECK_EQUAL(byte, 'y');
  long holder = 0;
  BOOST_CHECK(!FileLock::take(path, &holder));
  BOOST_CHECK_EQUAL(holder, child);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  std::optional<FileLock> lock = FileLock::take(path);
  BOOST_CHECK(lock.has_value());
  BOOST_CHECK(!FileLock::take(path, &holder));
  BOOST_CHECK_EQUAL(holder, getpid());
  lock.reset();
  BOOST_CHECK(FileLock::take(path).has_value());
  for (const int end : ready) close(end);
}

BOOST_AUTO_TEST_CASE(faults_come_at_the_point_and_the_count_that_were_asked_for) {
  // Each write is a child process of its own, for NF_FAULT is read once.
  struct Case {
    const char* fault;
    int status;           // minus the signal
    std::string content;  // of a file that holds "old" and is written twice, "first" and "second"
    std::size_t files;
  };
  for (const Case& c : std::initializer_list<Case>{{"", 0, "second", 1},
                                                   {"write-begin:1:kill", -SIGKILL, "old", 1},
                                                   {"write-part:1:kill", -SIGKILL, "old", 2},
                                                   {"write-sync:1:kill", -SIGKILL, "old", 2},
                                                   {"write-rename:2:kill", -SIGKILL, "first", 2},
                                                   {"write-done:2:kill", -SIGKILL, "second", 1},
                                                   {"write-begin:1:fail", 1, "old", 1},
                                                   {"write-rename:2:fail", 1, "first", 1},
                                                   {"write-rename:3:kill", 0, "second", 1},
                                                   {"nonsense", 1, "old", 1}}) {
    BOOST_TEST_CONTEXT(c.fault) {
      TempFolder folder;
      const std::string path = folder.write("a.bin", "old");
      const pid_t child = fork();
      if (child == 0) {
        setenv("NF_FAULT", c.fault, 1);
        try {
          atomic_write(path, "first");
          atomic_write(path, "second");
        } catch (const Error&) {
          _exit(1);
        }
        _exit(0);
      }
      int status = 0;
      waitpid(child, &status, 0);
      BOOST_CHECK_EQUAL(WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), c.status);
      BOOST_CHECK_EQUAL(bytes_of(path), c.content);
      BOOST_CHECK_EQUAL(folder.files(), c.files);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
