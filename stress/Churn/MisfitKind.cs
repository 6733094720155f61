namespace Collective.Stress.Churn;

/// <summary>What is wrong with a newcomer. It must be dismissed in its first sync, and nobody else may hear of it.</summary>
internal enum MisfitKind
{
    /// <summary>Its state is half as long.</summary>
    Sizes,

    /// <summary>Its state has a revision that the group has not reached.</summary>
    Revision,

    /// <summary>Its state has other names: it is another program.</summary>
    Program,
}
