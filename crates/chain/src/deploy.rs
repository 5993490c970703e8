//! Putting our contracts on a chain: once, at the same addresses everywhere, by anyone.

use crate::manifest::{DEPLOYER, Manifest, is_code_of, parts};
use crate::{Account, Address, Chain, Error, Intent};

/// What became of one contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// Whether it was put there now; otherwise it was there before.
    pub now: bool,
}

impl Account {
    /// Puts those of our contracts on the chain that are not there yet, and checks the code of all.
    ///
    /// Anyone may, and doing it again is harmless: their addresses follow from their code, which names no owner.
    pub async fn deploy(&self) -> Result<Vec<Deployed>, Error> {
        let chain = self.chain();
        if chain.code(DEPLOYER).await?.is_empty() {
            return Err(Error::NoDeployer);
        }
        let mut all = Vec::new();
        for part in parts()? {
            let now = chain.code(part.address).await?.is_empty();
            if now {
                match self.act(Intent::new(DEPLOYER, part.call)).await {
                    // Somebody else was quicker, and it is the same contract.
                    Err(Error::WouldFail { .. } | Error::Reverted { .. }) => {}
                    done => {
                        done?;
                    }
                }
            }
            let code = chain.code(part.address).await?;
            check(&part.name, part.address, &part.code, &code)?;
            all.push(Deployed { name: part.name, address: part.address, now });
        }
        Ok(all)
    }
}

impl Chain {
    /// Checks that the code at every address of the manifest is our contracts'.
    pub async fn check_contracts(&self) -> Result<(), Error> {
        for part in parts()? {
            let Some(address) = self.manifest().contracts.get(&part.name) else { continue };
            check(&part.name, *address, &part.code, &self.code(*address).await?)?;
        }
        Ok(())
    }

    /// The manifest of this chain, to be given to others.
    pub fn manifest_here(&self) -> Manifest {
        Manifest { chain: Some(self.id()), ..self.manifest().clone() }
    }
}

fn check(name: &str, address: Address, artifact: &[u8], found: &[u8]) -> Result<(), Error> {
    let name = name.to_owned();
    match found {
        [] => Err(Error::NotDeployed { name, address }),
        code if is_code_of(artifact, code) => Ok(()),
        _ => Err(Error::OtherCode { name, address }),
    }
}
