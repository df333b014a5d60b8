// Faults that change the process a plugin lives in.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cfenv>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "fault.hpp"

namespace sound {

// Does what the fault says when the backend is opened.
class ProcessFaults {
 public:
  ProcessFaults() {
    if (is("changes_rounding")) std::fesetround(FE_UPWARD);
    if (is("changes_locale")) std::setlocale(LC_ALL, "C.UTF-8");
    if (is("changes_directory")) moved_ = chdir("/") == 0;
    if (is("leaks_descriptor")) moved_ = open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0;
    if (is("leaks_heap")) lost_ = std::malloc(64);
    if (is("prints")) std::puts("hello from a plugin"), std::fflush(stdout);
    if (is("handles_signals")) signal(SIGUSR1, SIG_IGN);
    if (is("blocks_signals")) {
      sigset_t set;
      sigemptyset(&set);
      sigaddset(&set, SIGUSR2);
      pthread_sigmask(SIG_BLOCK, &set, nullptr);
    }
    if (is("own_thread")) thread_ = std::thread([] { pause(); }), thread_.detach();
  }

 private:
  bool moved_ = false;
  void* volatile lost_ = nullptr;
  std::thread thread_;
};

}  // namespace sound
