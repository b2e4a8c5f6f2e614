/*
 * A stand-in for NVIDIA's management library (NVML), for lab hosts without GPUs.
 *
 * It has the calls that NVIDIA's device plugin and the service platformctl-device-health make, with the names,
 * types and numbers of NVIDIA's NVML API reference (https://docs.nvidia.com/deploy/nvml-api). Everything it
 * says is in a text file beside it, LIBRARY.conf, which may be replaced at any time:
 *
 *     driver 580.95.05
 *     gpu minor=0 uuid=GPU-... name=NVIDIA-A100-SXM4-40GB memory_mib=40960 capability=8.0 mig=0 xid=0 lost=0
 *
 * mig: whether the GPU is in MIG mode. xid: a new number here is one event of the driver. lost: calls for the
 * GPU answer that it has fallen off the bus. Slices are not simulated.
 *
 * Copyright platformctl's authors. SPDX-License-Identifier: Apache-2.0
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, TIMEOUT = 10,
       GPU_IS_LOST = 15, UNKNOWN = 999 };
enum { MOST = 16, TEXT = 96, XID_EVENT = 8, POLL_MILLISECONDS = 100, NO_INSTANCE = 0xffffffff };

typedef int Return;

struct gpu {
    unsigned minor, mig, lost, xid, major_capability, minor_capability;
    unsigned long long memory_mib;
    char uuid[TEXT], name[TEXT];
};
typedef struct gpu *Device;

/* nvmlPciInfo_t, nvmlMemory_t, nvmlEventData_t. */
struct pci { char legacy[16]; unsigned domain, bus, device, device_id, subsystem_id; char id[32]; };
struct memory { unsigned long long total, free, used; };
struct event { Device device; unsigned long long type, data; unsigned gpu_instance, compute_instance; };

/* Handles are places in this table, so they stay valid when the file is read again. */
static struct gpu gpus[MOST];
static unsigned count;
static char driver[TEXT] = "0.0.0";

static void take(struct gpu *gpu, const char *word)
{
    sscanf(word, "minor=%u", &gpu->minor);
    sscanf(word, "uuid=%95s", gpu->uuid);
    sscanf(word, "name=%95s", gpu->name);
    sscanf(word, "memory_mib=%llu", &gpu->memory_mib);
    sscanf(word, "capability=%u.%u", &gpu->major_capability, &gpu->minor_capability);
    sscanf(word, "mig=%u", &gpu->mig);
    sscanf(word, "xid=%u", &gpu->xid);
    sscanf(word, "lost=%u", &gpu->lost);
}

static Return load(void)
{
    Dl_info here;
    char library[PATH_MAX], path[PATH_MAX + sizeof ".conf"], line[1024];
    if (!dladdr((void *)load, &here) || !realpath(here.dli_fname, library))
        return UNKNOWN;
    snprintf(path, sizeof path, "%s.conf", library);
    FILE *file = fopen(path, "r");
    if (!file)
        return UNKNOWN;
    unsigned found = 0;
    while (fgets(line, sizeof line, file)) {
        char *rest = NULL, *word = strtok_r(line, " \n", &rest);
        if (word && !strcmp(word, "driver") && (word = strtok_r(NULL, " \n", &rest)))
            snprintf(driver, sizeof driver, "%s", word);
        else if (word && !strcmp(word, "gpu") && found < MOST) {
            struct gpu next = {0};
            while ((word = strtok_r(NULL, " \n", &rest)))
                take(&next, word);
            gpus[found++] = next;
        }
    }
    fclose(file);
    count = found;
    return SUCCESS;
}

static Return text(const char *value, char *to, unsigned size)
{
    return snprintf(to, size, "%s", value) < (int)size ? SUCCESS : INSUFFICIENT_SIZE;
}

/* Each call for a GPU sees the file as it is now. */
static Return present(Device gpu)
{
    load();
    if (gpu < gpus || gpu >= gpus + count)
        return INVALID_ARGUMENT;
    return gpu->lost ? GPU_IS_LOST : SUCCESS;
}

#define GPU(gpu) do { Return said = present(gpu); if (said != SUCCESS) return said; } while (0)

Return nvmlInit_v2(void) { return load(); }
Return nvmlInit(void) { return load(); }
Return nvmlShutdown(void) { return SUCCESS; }

const char *nvmlErrorString(Return code)
{
    switch (code) {
    case SUCCESS: return "Success";
    case INVALID_ARGUMENT: return "Invalid Argument";
    case NOT_SUPPORTED: return "Not Supported";
    case NOT_FOUND: return "Not Found";
    case INSUFFICIENT_SIZE: return "Insufficient Size";
    case TIMEOUT: return "Timeout";
    case GPU_IS_LOST: return "GPU is lost";
    default: return "Unknown Error";
    }
}

Return nvmlSystemGetDriverVersion(char *to, unsigned size) { return text(driver, to, size); }
Return nvmlSystemGetNVMLVersion(char *to, unsigned size) { return text(driver, to, size); }
Return nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 13000; return SUCCESS; }
Return nvmlSystemGetCudaDriverVersion(int *version) { *version = 13000; return SUCCESS; }

Return nvmlDeviceGetCount_v2(unsigned *to) { Return said = load(); *to = count; return said; }
Return nvmlDeviceGetCount(unsigned *to) { return nvmlDeviceGetCount_v2(to); }

Return nvmlDeviceGetHandleByIndex_v2(unsigned index, Device *to)
{
    if (index >= count)
        return INVALID_ARGUMENT;
    *to = &gpus[index];
    return gpus[index].lost ? GPU_IS_LOST : SUCCESS;
}
Return nvmlDeviceGetHandleByIndex(unsigned index, Device *to) { return nvmlDeviceGetHandleByIndex_v2(index, to); }

Return nvmlDeviceGetHandleByUUID(const char *uuid, Device *to)
{
    for (unsigned index = 0; index < count; index++)
        if (!strcmp(gpus[index].uuid, uuid))
            return nvmlDeviceGetHandleByIndex_v2(index, to);
    return NOT_FOUND;
}

Return nvmlDeviceGetIndex(Device gpu, unsigned *to) { GPU(gpu); *to = gpu - gpus; return SUCCESS; }
Return nvmlDeviceGetName(Device gpu, char *to, unsigned size) { GPU(gpu); return text(gpu->name, to, size); }
Return nvmlDeviceGetUUID(Device gpu, char *to, unsigned size) { GPU(gpu); return text(gpu->uuid, to, size); }
Return nvmlDeviceGetMinorNumber(Device gpu, unsigned *to) { GPU(gpu); *to = gpu->minor; return SUCCESS; }

Return nvmlDeviceGetMemoryInfo(Device gpu, struct memory *to)
{
    GPU(gpu);
    *to = (struct memory){gpu->memory_mib << 20, gpu->memory_mib << 20, 0};
    return SUCCESS;
}

Return nvmlDeviceGetCudaComputeCapability(Device gpu, int *major, int *minor)
{
    GPU(gpu);
    *major = gpu->major_capability;
    *minor = gpu->minor_capability;
    return SUCCESS;
}

Return nvmlDeviceGetMigMode(Device gpu, unsigned *current, unsigned *pending)
{
    GPU(gpu);
    *current = *pending = gpu->mig;
    return SUCCESS;
}
Return nvmlDeviceGetMaxMigDeviceCount(Device gpu, unsigned *to) { GPU(gpu); *to = 0; return SUCCESS; }
Return nvmlDeviceIsMigDeviceHandle(Device gpu, unsigned *to) { GPU(gpu); *to = 0; return SUCCESS; }

Return nvmlDeviceGetPciInfo_v3(Device gpu, struct pci *to)
{
    GPU(gpu);
    memset(to, 0, sizeof *to);
    to->bus = gpu->minor;
    snprintf(to->legacy, sizeof to->legacy, "0000:%02X:00.0", gpu->minor);
    snprintf(to->id, sizeof to->id, "00000000:%02X:00.0", gpu->minor);
    return SUCCESS;
}

/* No links between GPUs: all are equally far from each other (NVML_TOPOLOGY_NODE is 40). */
Return nvmlDeviceGetTopologyCommonAncestor(Device one, Device other, unsigned *to)
{
    GPU(one);
    GPU(other);
    *to = 40;
    return SUCCESS;
}
Return nvmlDeviceGetNvLinkState(Device gpu, unsigned link, unsigned *to)
{
    (void)gpu, (void)link, (void)to;
    return NOT_SUPPORTED;
}
Return nvmlDeviceGetNvLinkRemotePciInfo_v2(Device gpu, unsigned link, struct pci *to)
{
    (void)gpu, (void)link, (void)to;
    return NOT_SUPPORTED;
}

/* A set of events remembers the Xids that were told. */
struct set { unsigned told[MOST], registered[MOST]; };

Return nvmlEventSetCreate(struct set **to)
{
    load();
    *to = calloc(1, sizeof **to);
    for (unsigned index = 0; *to && index < count; index++)
        (*to)->told[index] = gpus[index].xid;
    return *to ? SUCCESS : UNKNOWN;
}
Return nvmlEventSetFree(struct set *set) { free(set); return SUCCESS; }
Return nvmlDeviceGetSupportedEventTypes(Device gpu, unsigned long long *to) { GPU(gpu); *to = XID_EVENT; return SUCCESS; }

Return nvmlDeviceRegisterEvents(Device gpu, unsigned long long types, struct set *set)
{
    GPU(gpu);
    set->registered[gpu - gpus] |= (types & XID_EVENT) != 0;
    return SUCCESS;
}

Return nvmlEventSetWait_v2(struct set *set, struct event *to, unsigned milliseconds)
{
    for (unsigned waited = 0;; waited += POLL_MILLISECONDS) {
        load();
        for (unsigned index = 0; index < count; index++) {
            unsigned xid = gpus[index].xid;
            int news = set->registered[index] && xid && xid != set->told[index];
            set->told[index] = xid;
            if (news) {
                *to = (struct event){&gpus[index], XID_EVENT, xid, NO_INSTANCE, NO_INSTANCE};
                return SUCCESS;
            }
        }
        if (waited >= milliseconds)
            return TIMEOUT;
        usleep(POLL_MILLISECONDS * 1000);
    }
}
