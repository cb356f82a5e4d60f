/**
 * What a local start prints: plain, aligned lines; colour only on a terminal that wants it. It holds no state but
 * where it writes, and decides nothing about what is said.
 */
const LABEL_WIDTH = 14;
const STEP_WIDTH = 12;
const DETAIL_WIDTH = 44;

type Colour = "dim" | "bold" | "green" | "yellow" | "red";
const CODES: Record<Colour, number> = { dim: 2, bold: 1, green: 32, yellow: 33, red: 31 };

export class Terminal {
  readonly #out: NodeJS.WritableStream & { isTTY?: boolean };
  readonly #colour: boolean;

  constructor(out: NodeJS.WritableStream & { isTTY?: boolean }, env: NodeJS.ProcessEnv) {
    this.#out = out;
    this.#colour = out.isTTY === true && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
  }

  get isInteractive(): boolean {
    return this.#out.isTTY === true;
  }

  line(text = ""): void {
    this.#out.write(`${text}\n`);
  }

  title(text: string): void {
    this.line();
    this.line(this.#paint("bold", text));
  }

  /** `  label         what about it` */
  fact(label: string, text: string): void {
    this.line(`  ${this.#paint("dim", label.padEnd(LABEL_WIDTH))}${text}`);
  }

  /** Something that went wrong and was repaired, or needs to be known. */
  notice(text: string): void {
    this.line(this.#paint("yellow", `  ! ${text}`));
  }

  failure(text: string): void {
    this.line(this.#paint("red", text));
  }

  /** `   0.42 s  handed over  to the session host       Rp 999.800 available, Rp 200 held` */
  step(elapsedMs: number, step: string, detail: string, money: string): void {
    const time = `${(elapsedMs / 1000).toFixed(2).padStart(7)} s  `;
    const name = this.#paint("green", step.padEnd(STEP_WIDTH));
    this.line(
      `${this.#paint("dim", time)}${name} ${detail.padEnd(DETAIL_WIDTH)} ${this.#paint("dim", money)}`.trimEnd(),
    );
  }

  #paint(colour: Colour, text: string): string {
    return this.#colour ? `\u001B[${CODES[colour]}m${text}\u001B[0m` : text;
  }
}

/** Rp 999.800 */
export function rupiah(amount: number): string {
  return `Rp ${String(amount).replace(/\B(?=(\d{3})+$)/g, ".")}`;
}
