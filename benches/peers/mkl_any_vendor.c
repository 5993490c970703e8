/* MKL takes its AVX-512 kernels only where the processor says it is Intel's. Loaded before PyTorch (LD_PRELOAD), this
 * answers for the processor, so that MKL may use what the machine has and the comparison is with its best. */
int mkl_serv_intel_cpu_true(void) { return 1; }
