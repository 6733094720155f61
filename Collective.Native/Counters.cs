namespace Collective.Native;

/// <summary>What <c>pcclxGetStatistics</c> tells.</summary>
internal sealed class Counters
{
    private long _committed;
    private long _failed;
    private long _sent;
    private long _received;
    private long _connects;
    private long _topologyUpdates;
    private long _stateSyncs;
    private long _stateSent;
    private long _stateReceived;
    private long _timedOut;

    public void CountConnect() => Interlocked.Increment(ref _connects);

    public void CountTopologyUpdate() => Interlocked.Increment(ref _topologyUpdates);

    public void CountCommitted(int operations, long bytesSent, long bytesReceived)
    {
        Interlocked.Add(ref _committed, operations);
        Interlocked.Add(ref _sent, bytesSent);
        Interlocked.Add(ref _received, bytesReceived);
    }

    public void CountStateSync(long bytesSent, long bytesReceived)
    {
        Interlocked.Increment(ref _stateSyncs);
        Interlocked.Add(ref _stateSent, bytesSent);
        Interlocked.Add(ref _stateReceived, bytesReceived);
    }

    public void CountFailed(int attempts, Exception? why)
    {
        Interlocked.Add(ref _failed, attempts);
        CountCallFailed(why as CollectiveException);
    }

    public void CountCallFailed(CollectiveException? why)
    {
        if (why?.Code == ErrorCode.TimedOut)
        {
            Interlocked.Increment(ref _timedOut);
        }
    }

    public void Fill(ref Statistics statistics)
    {
        statistics.ReducesCommitted = Read(ref _committed);
        statistics.ReducesFailed = Read(ref _failed);
        statistics.TxBytes = Read(ref _sent);
        statistics.RxBytes = Read(ref _received);
        statistics.Connects = Read(ref _connects);
        statistics.TopologyUpdates = Read(ref _topologyUpdates);
        statistics.StateSyncs = Read(ref _stateSyncs);
        statistics.StateTxBytes = Read(ref _stateSent);
        statistics.StateRxBytes = Read(ref _stateReceived);
        statistics.CallsTimedOut = Read(ref _timedOut);
    }

    private static ulong Read(ref long counter) => (ulong)Interlocked.Read(ref counter);
}
