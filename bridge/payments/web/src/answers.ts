// Answers as they are passed on: whether all of one came is known when it was read.

/** Bytes of an answer that are read unasked: one that is known to be as short is read before it is passed on. So it came, whether or not anybody reads it. */
const MOST_READ_AHEAD = 1 << 20;

/** Passes an answer on; `ended` is told whether it came whole, or its reader left it. */
export async function watched(response: Response, ended: (isWhole: boolean) => Promise<void> | void): Promise<Response> {
  const { body } = response;
  if (!body) {
    await ended(true);
    return response;
  }
  const length = response.headers.get("content-length");
  if (length !== null && Number(length) <= MOST_READ_AHEAD) {
    const bytes = await response.arrayBuffer();
    await ended(true);
    return withBody(response, bytes);
  }
  const reader = body.getReader();
  const stream = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        await ended(true);
        controller.close();
      } catch (error) {
        await ended(false);
        controller.error(error);
      }
    },
    cancel: async (why) => {
      await ended(true);
      await reader.cancel(why);
    },
  }, new ByteLengthQueuingStrategy({ highWaterMark: MOST_READ_AHEAD }));
  return withBody(response, stream);
}

/** The same with another body. */
export function withBody(response: Response, body: BodyInit): Response {
  const isEmpty = [101, 204, 205, 304].includes(response.status);
  const copy = new Response(isEmpty ? null : body, response);
  Object.defineProperty(copy, "url", { value: response.url });
  return copy;
}
