interface Lead {
  name: string;
  email: string;
  domain?: string;
}

/** A lead with an address: give the task a name to find it by, and say where the lead works. */
export const match = () => ({ lead: { name: String, email: /^[^@\s]+@[^@\s]+\.[a-z]{2,}$/i, domain: null } });

export default async (data: { lead: Lead }): Promise<void> => {
  const lead: Lead = data.lead;
  lead.email = lead.email.toLowerCase();
  lead.domain = lead.email.split('@')[1];
  task.name(`lead ${lead.name}`);
  task.tags([...task.tags(), 'lead']);
};
