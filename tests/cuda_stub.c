/* NVIDIA's driver library as MXNet's CUDA build loads it: GPUS devices of compute capability MAJOR.MINOR, or none. */
#include <string.h>

enum { NO_DEVICE = 100, MAJOR_ATTRIBUTE = 75 };

int cuInit(unsigned flags) { return FAULT ? FAULT : GPUS ? 0 : NO_DEVICE; }
int cuDriverGetVersion(int *version) { return *version = 11080, 0; }
int cuDeviceGetCount(int *count) { return *count = GPUS, 0; }
int cuDeviceGet(int *device, int number) { return *device = number, 0; }
int cuDeviceGetName(char *name, int size, int device) { return strncpy(name, "Stub", size), 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  return *value = attribute == MAJOR_ATTRIBUTE ? MAJOR : MINOR, 0;
}

#define REFUSES(name) \
  int name(void) { return NO_DEVICE; }
REFUSES(cuDevicePrimaryCtxRetain)
REFUSES(cuGetErrorString)
REFUSES(cuGraphKernelNodeGetParams)
REFUSES(cuGraphNodeGetType)
REFUSES(cuLaunchKernel)
REFUSES(cuModuleGetFunction)
REFUSES(cuModuleLoadData)
REFUSES(cuModuleLoadDataEx)
REFUSES(cuModuleUnload)
