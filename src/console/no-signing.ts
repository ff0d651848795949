/** Replaces the signatures of the client library: the page signs in with a token only. */
export function signedHeaders(): never {
  throw new Error('The page does not sign requests.');
}
