import { defineConfig } from "vitest/config";

// What is in `live/` needs a node that runs, and has a configuration of its own.
export default defineConfig({ test: { include: ["test/**/*.test.ts"] } });
