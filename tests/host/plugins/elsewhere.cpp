// The dependency that goes missing.
extern "C" __attribute__((visibility("default"))) int quoin_test_function_from_elsewhere();
extern "C" int quoin_test_function_from_elsewhere() { return 0; }
