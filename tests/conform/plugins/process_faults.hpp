// Faults that change the process a plugin lives in.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cfenv>
#include <clocale>
#include <cstdio>
#include <string_view>
#include <thread>

namespace sound {

// Does what FAULT says when the backend is opened.
class ProcessFaults {
 public:
  ProcessFaults() {
    constexpr std::string_view fault = FAULT;
    if (fault == "changes_rounding") std::fesetround(FE_UPWARD);
    if (fault == "changes_locale") std::setlocale(LC_ALL, "C.UTF-8");
    if (fault == "changes_directory") moved_ = chdir("/") == 0;
    if (fault == "leaks_descriptor") moved_ = open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0;
    if (fault == "prints") std::puts("hello from a plugin"), std::fflush(stdout);
    if (fault == "handles_signals") signal(SIGUSR1, SIG_IGN);
    if (fault == "blocks_signals") {
      sigset_t set;
      sigemptyset(&set);
      sigaddset(&set, SIGUSR2);
      pthread_sigmask(SIG_BLOCK, &set, nullptr);
    }
    if (fault == "own_thread") thread_ = std::thread([] { pause(); }), thread_.detach();
  }

 private:
  bool moved_ = false;
  std::thread thread_;
};

}  // namespace sound
