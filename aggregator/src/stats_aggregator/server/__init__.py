"""The process that workers talk to: settings, socket, start and stop."""
