/* Finds a function of the driver by its name; NULL when there is none. */
typedef void *(*bnfuse_resolver)(const char *name);

/* Fills the slots and starts the driver. On an error the slots say "no device" again, and name and text
 * are the driver's for the error, or unchanged. */
CUresult bnfuse_bind(bnfuse_resolver resolve, const char **name, const char **text);
