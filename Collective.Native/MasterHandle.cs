namespace Collective.Native;

/// <summary>What stands behind a <c>pcclMasterInstance_t</c>.</summary>
internal sealed class MasterHandle(MasterOptions options, bool systemMayChoosePort)
{
    // Guards the life of the master against calls of several threads.
    private readonly Lock _gate = new();
    private CollectiveMaster? _master;
    private Task? _stopped;

    public void Run()
    {
        lock (_gate)
        {
            if (_master is not null)
            {
                throw new NativeException(PcclResult.InvalidUsage, PcclxError.InvalidUsage, "The master was launched before: make another one.");
            }

            if (!systemMayChoosePort && options.Listen.EndsWith(":0", StringComparison.Ordinal))
            {
                throw new NativeException(PcclResult.InvalidUsage, PcclxError.InvalidArgument, "The port to listen on is 0: choose one, or let the system choose with pcclxCreateMaster.");
            }

            _master = Start();
        }
    }

    public int Port => Launched().EndPoint.Port;

    public void Interrupt()
    {
        var master = Launched();
        lock (_gate)
        {
            _stopped ??= Task.Run(() => master.DisposeAsync().AsTask());
        }
    }

    public void AwaitTermination() => Launched().Completion.GetAwaiter().GetResult();

    public void Destroy()
    {
        lock (_gate)
        {
            if (_master is null)
            {
                return;
            }
        }

        Interrupt();
        _stopped!.Wait();
    }

    private CollectiveMaster Start()
    {
        try
        {
            return CollectiveMaster.Start(options);
        }
        catch (CollectiveException e)
        {
            throw new NativeException(PcclResult.InvalidUsage, (PcclxError)e.Code, e.Message);
        }
    }

    private CollectiveMaster Launched()
    {
        lock (_gate)
        {
            return _master ?? throw new NativeException(PcclResult.InvalidUsage, PcclxError.InvalidUsage, "The master was never launched: call pcclRunMaster first.");
        }
    }
}
