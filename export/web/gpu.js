// A graph on the GPU, which is trusted only after its first results were those of the CPU.

const TOLERANCE = 1e-3; // of the largest value of an output, or of 1

/** Whether two outputs, typed arrays by name, are equal but for rounding. */
export function agree(a, b) {
  return Object.keys(a).every((key) => {
    const largest = a[key].reduce((most, value) => Math.max(most, Math.abs(value)), 1);
    return a[key].every((value, i) => Math.abs(value - b[key][i]) <= TOLERANCE * largest);
  });
}

const arrays = (results) => Object.fromEntries(Object.entries(results).map(([key, tensor]) => [key, tensor.data]));

/**
 * A session that computes on the GPU, or on the CPU if the GPU fails or computes something else:
 * kernels and drivers have faults, which show in no other way.
 *
 * @param {object} cpu session
 * @param {() => Promise<object>} openGpu gives the session on the GPU
 * @param {(reason: string | null) => void} report is told of the choice: null for the GPU
 */
export function checkedSession(cpu, openGpu, report) {
  let chosen = null;
  return {
    run: async (feeds) => {
      if (chosen !== null) {
        return chosen.run(feeds);
      }
      const expected = await cpu.run(feeds);
      try {
        const gpu = await openGpu();
        const same = agree(arrays(expected), arrays(await gpu.run(feeds)));
        chosen = same ? gpu : cpu;
        report(same ? null : "its results differ from the CPU's");
      } catch (error) {
        chosen = cpu;
        report(String(error?.message ?? error).split("\n")[0]);
      }
      return expected;
    },
  };
}
