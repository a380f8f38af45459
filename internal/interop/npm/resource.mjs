// A service of the brand that takes access tokens. It knows the issuer and its
// own name and key there, and learns the rest from the issuer's metadata.
//
//	node resource.mjs ISSUER NAME KEY
import { createRemoteJWKSet, jwtVerify } from 'jose'
import * as client from 'openid-client'
import { serve } from './lines.mjs'

const [issuer, name, key] = process.argv.slice(2)
const config = await client.discovery(new URL(issuer), name, undefined, client.ClientSecretBasic(key), {
  algorithm: 'oauth2',
})
const keys = createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri))

await serve({
  // verify reads the token (RFC 9068) and asks nobody.
  async verify({ token }) {
    const { payload } = await jwtVerify(token, keys, { issuer, audience: issuer, typ: 'at+jwt' })
    return { claims: payload }
  },

  // ask has the issuer say what it thinks of the token now (RFC 7662).
  async ask({ token }) {
    return await client.tokenIntrospection(config, token)
  },
})
