/**
 * Preloaded into every part (`node --import`): when the process that started it is gone, even by kill -9, the pipe
 * between them closes and the part ends as if it had been asked to. Without a parent's pipe it does nothing.
 */
const GRACE_MS = 3_000;

process.on("disconnect", () => {
  setTimeout(() => process.exit(1), GRACE_MS).unref();
  process.kill(process.pid, "SIGTERM");
});
process.channel?.unref();
