const void *H5PLget_plugin_info(void) { return 0; }
