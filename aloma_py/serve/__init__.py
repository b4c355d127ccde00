"""The engine process: it keeps running a workspace's tasks, and answers other processes through its control socket."""
