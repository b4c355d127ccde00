/** Ask the register, once more if it is down. The answer is at `into` before the next match. */
export const retries = 1;
export const retryOn = [503];

export const condition = { lead: { domain: String, company: null } };

export const content = async () => {
  await connectors.register.find({ domain: data.lead.domain, into: 'lead.company' });
};
