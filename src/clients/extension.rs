//! Extensions of Claude Desktop (DXT, MCPB): servers outside its configuration file. (to be written)
