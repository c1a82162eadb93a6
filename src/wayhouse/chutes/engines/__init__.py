"""The engines that run containers, all behind `chutes.ports.Engine`: Docker or Podman, the sandbox, and a fake."""
