using System.Diagnostics;
using Collective.Stress.Processes;

namespace Collective.Stress.Churn;

/// <summary>A peer process, and what the orchestrator knows about it.</summary>
internal sealed class Subject(ChildProcess child, int host, int peersMax)
{
    public ChildProcess Child { get; } = child;

    /// <summary>Its host in the private network, where there is one.</summary>
    public int Host { get; } = host;

    public string Name => $"process {Child.Index}";

    /// <summary>Its present id; "" while it is not admitted.</summary>
    public string Peer { get; set; } = "";

    public ulong Step { get; set; }

    public int WorldSize { get; set; }

    public long LastNews { get; set; } = Stopwatch.GetTimestamp();

    /// <summary>What it said last, if that is that it waits.</summary>
    public ChurnEvent.Waiting? Waiting { get; set; }

    /// <summary>The freeze or black hole that it is in.</summary>
    public Strike? Silence { get; set; }

    /// <summary>The last freeze that lasted longer than the timeout, until the peer has said that it was evicted for it.</summary>
    public Strike? OwesEviction { get; set; }

    /// <summary>While it gets no descriptors.</summary>
    public Strike? Starvation { get; set; }

    /// <summary>What is wrong with it, if anything.</summary>
    public MisfitKind? Misfit { get; init; }

    /// <summary>Whether this misfit has said what came of it.</summary>
    public bool IsDone { get; set; }

    public bool IsKilled { get; set; }

    public bool IsLeaving { get; set; }

    /// <summary>The step in which it synced for the first time since it connected: later newcomers have to fit to it.</summary>
    public ulong? SyncedSince { get; set; }

    /// <summary>Whether shared state is coming to it.</summary>
    public bool IsReceiving { get; set; }

    public bool HasEnded { get; set; }

    /// <summary>Whether no other process may be given its host.</summary>
    public bool HoldsHost => !HasEnded || Silence is { Kind: ChurnKind.Blackhole };

    public LeakJudge Resources { get; } = new($"peer process {child.Index}", LeakJudge.PeerSocketsMax(peersMax), LeakJudge.PeerThreadsMax(peersMax));

    /// <summary>Takes part, or could at once.</summary>
    public bool IsHealthy => IsPresent && Silence is null && Starvation is null && Misfit is null;

    /// <summary>Runs, and is meant to go on.</summary>
    public bool IsPresent => !HasEnded && !IsKilled && !IsLeaving;
}
