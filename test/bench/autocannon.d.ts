/** The little of autocannon that the bench uses; the package brings no types. */
declare module "autocannon" {
  interface LoadRequest {
    method: "POST";
    path: string;
    headers: Record<string, string>;
    setupRequest(request: LoadRequest): LoadRequest;
    onResponse(status: number, body: string): void;
    body?: string;
  }
  interface LoadOptions {
    url: string;
    connections: number;
    /** Seconds. */
    duration: number;
    /** Of one request, seconds. */
    timeout: number;
    requests: LoadRequest[];
    setupClient(client: {
      on(event: "response", listen: (status: number, bytes: number, ms: number) => void): void;
    }): void;
  }
  interface LoadResult {
    errors: number;
    timeouts: number;
  }
  const autocannon: (options: LoadOptions) => Promise<LoadResult>;
  export default autocannon;
}
