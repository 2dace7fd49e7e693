/* What the software driver offers beyond libcuda. */
struct sw_counters {
	long calls, allocations;
	long launches, copies_to_device, copies_to_host, bytes_to_device, bytes_to_host;
	long device_bytes, pinned_bytes, streams, events, modules, contexts; /* that exist now */
	long overlaps; /* times at which a copy to a device, a kernel and a copy back were under way at once */
	long overruns; /* allocations that were written behind their end */
};

void *sw_symbol(const char *name);
void sw_configure(const char *settings);
struct sw_counters sw_count(void);
