#include "bench/machine.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "os/file.h"

enum { TEXT_BYTES_MAX = 1 << 20 };

static void add(struct hbk_machine *machine, const char *name, const char *text)
{
    if (machine->count < HBK_MACHINE_FACTS_MAX) {
        struct hbk_machine_fact *fact = &machine->facts[machine->count++];
        fact->name = name;
        int size = (int)strcspn(text, "\"\n");
        (void)snprintf(fact->text, sizeof fact->text, "%.*s", size > 0 ? size : 7,
                       size > 0 ? text : "unknown");
    }
}

/* What stands behind "key : " in a file, or its first line when `key` is NULL. */
static void add_from(struct hbk_machine *machine, const char *name, const char *path,
                     const char *key)
{
    struct hbk_arena arena;
    struct hbk_slice text = {0};
    const char *found = "";
    hbk_arena_init(&arena);
    if (hbk_file_read(&arena, path, TEXT_BYTES_MAX, &text) == HBK_OK) {
        found = (const char *)text.bytes;
        if (key != NULL) {
            found = strstr(found, key);
            found = found == NULL ? "" : found + strlen(key);
            found += strspn(found, " \t:=\"");
        }
    }
    add(machine, name, found);
    hbk_arena_fini(&arena);
}

void hbk_machine_look(struct hbk_machine *out_machine)
{
    struct utsname name = {0};
    char text[HBK_MACHINE_TEXT_BYTES_MAX];
    *out_machine = (struct hbk_machine){0};
    (void)uname(&name);
    add_from(out_machine, "Processor", "/proc/cpuinfo", "model name");
    (void)snprintf(text, sizeof text, "%ld", sysconf(_SC_NPROCESSORS_ONLN));
    add(out_machine, "Processors", text);
    add_from(out_machine, "Memory", "/proc/meminfo", "MemTotal");
    add_from(out_machine, "Operating system", "/etc/os-release", "PRETTY_NAME");
    (void)snprintf(text, sizeof text, "%s %s", name.sysname, name.release);
    add(out_machine, "Kernel", text);
    add_from(out_machine, "Clock",
             "/sys/devices/system/clocksource/clocksource0/current_clocksource", NULL);
    add_from(out_machine, "Frequency governor",
             "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", NULL);
    add_from(out_machine, "Congestion control", "/proc/sys/net/ipv4/tcp_congestion_control", NULL);
    add_from(out_machine, "Transparent huge pages", "/sys/kernel/mm/transparent_hugepage/enabled",
             NULL);
    add(out_machine, "Control groups",
        access("/sys/fs/cgroup/cgroup.controllers", R_OK) == 0 ? "version 2"
        : access("/sys/fs/cgroup/cpu", R_OK) == 0              ? "version 1"
                                                               : "none seen");
    add(out_machine, "Kubernetes, container runtime", "none: pods are network namespaces");
}
