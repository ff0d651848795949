import type { RequestHandler } from 'express';
import type { Audit } from '../domain/audit.ts';
import { ERROR_TABLE } from './error-table.ts';
import { facts } from './request-facts.ts';
import { pathOf } from './request-log.ts';

/** Puts on record who was turned away for want of credentials or rights. */
export function recordDenials(audit: Audit): RequestHandler {
  return (req, res, next) => {
    const path = pathOf(req.originalUrl);
    res.once('close', () => {
      const { requestId, wireMethod, address, caller, error } = facts(res);
      if (error === undefined || (res.statusCode !== 401 && res.statusCode !== 403)) return;
      audit.deny({
        requestId,
        method: wireMethod,
        path,
        address,
        status: res.statusCode,
        errorCode: ERROR_TABLE[error.code].error_code,
        caller: caller?.user,
        proof: caller?.proof,
      });
    });
    next();
  };
}
